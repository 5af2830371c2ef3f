//! ONNX Runtime, loaded at run time, and sessions of the three models.
//!
//! Nothing here may hang or panic on a wrong file: the library and the models are looked at before ONNX Runtime is
//! asked, and every error names the file and the fix.

use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep::ExecutionProvider;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use parking_lot::Mutex;

use super::VisionError;
use crate::config::{self, Precision, Provider};
use crate::plate::ALPHABET;
use crate::text::one_line;

/// The oldest API of ONNX Runtime that will do: that of 1.24.
const API: u32 = 24;
/// The version that is installed by default.
const VERSION: &str = "1.32.0";
/// The same with OpenVINO, as `scripts/openvino` fetches it.
const OPENVINO_VERSION: &str = "1.24.1";
/// Larger files are no models of ours.
const LARGEST_MODEL: u64 = 64 << 20;

/// The library in use: its path and version.
#[derive(Clone, Debug)]
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// Such as `1.32.0`.
    pub version: String,
    environment: Environment,
}

static LIBRARY: OnceLock<Library> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// Loads ONNX Runtime, once a process; later calls give the same library.
pub fn library(settings: &config::Vision) -> Result<&'static Library, VisionError> {
    let _one_at_a_time = LOADING.lock();
    if let Some(library) = LIBRARY.get() {
        return Ok(library);
    }
    let path = find_library(settings.onnxruntime.as_deref(), settings.provider)?;
    let version = inspect(&path)?;
    let broken = |error: String| VisionError::Library { path: path.clone(), problem: error };
    let builder = ort::init_from(&path).map_err(|e| broken(e.to_string()))?;
    let environment =
        builder.with_name("plategate").with_telemetry(false).build().map_err(|e| broken(e.to_string()))?;
    Ok(LIBRARY.get_or_init(|| Library { path, version, environment }))
}

/// Where the library is: the configuration, the environment, beside the program, the checkout, the system.
/// OpenVINO comes in a library of its own.
fn find_library(configured: Option<&Path>, provider: Provider) -> Result<PathBuf, VisionError> {
    let missing = |path: &Path| VisionError::Library { path: path.to_path_buf(), problem: "no such file".into() };
    if let Some(path) = configured {
        return if path.is_file() { Ok(path.to_path_buf()) } else { Err(missing(path)) };
    }
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from) {
        return if path.is_file() { Ok(path) } else { Err(missing(&path)) };
    }
    if provider == Provider::Openvino {
        let name = format!("libonnxruntime.so.{OPENVINO_VERSION}");
        let cached = Path::new(".cache/onnxruntime-openvino").join(OPENVINO_VERSION).join(&name);
        let installed = Path::new("/usr/lib/plategate/openvino").join(&name);
        return upwards(&cached)
            .into_iter()
            .chain([installed])
            .find(|path| path.is_file())
            .ok_or(VisionError::OpenvinoNotFound);
    }
    let name = format!("libonnxruntime.so.{VERSION}");
    let cached = Path::new(".cache/onnxruntime").join(VERSION).join(&name);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(&name)));
    let installed = Path::new("/usr/lib/plategate").join(&name);
    beside
        .into_iter()
        .chain(upwards(&cached))
        .chain([installed])
        .find(|path| path.is_file())
        .ok_or(VisionError::LibraryNotFound { name })
}

/// `relative` under the program's folder, the current one and their parents.
fn upwards(relative: &Path) -> Vec<PathBuf> {
    let starts = [std::env::current_exe().ok(), std::env::current_dir().ok()];
    let folders = starts.iter().flatten().flat_map(|start| start.ancestors());
    folders.map(|folder| folder.join(relative)).collect()
}

#[repr(C)]
struct ApiBase {
    get_api: unsafe extern "C" fn(u32) -> *const c_void,
    get_version: unsafe extern "C" fn() -> *const c_char,
}

/// Opens the library by itself and asks for its version: a missing symbol or too old an API is found here, where it is
/// an error, and not in `ort`, where it is a panic.
fn inspect(path: &Path) -> Result<String, VisionError> {
    let wrong = |problem: String| VisionError::Library { path: path.to_path_buf(), problem };
    let mut magic = [0u8; 4];
    let read = std::fs::File::open(path).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut magic));
    read.map_err(|e| wrong(e.to_string()))?;
    if &magic != b"\x7fELF" {
        return Err(wrong("not a shared library".into()));
    }
    // SAFETY: loading a library runs its initialisers; the operator named this file as ONNX Runtime. The symbol's
    // signature is that of onnxruntime_c_api.h, unchanged since its first version.
    unsafe {
        let library = libloading::Library::new(path).map_err(|e| wrong(e.to_string()))?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ApiBase>(b"OrtGetApiBase\0")
            .map_err(|_| wrong("not ONNX Runtime: it has no OrtGetApiBase".into()))?();
        let version = CStr::from_ptr(((*base).get_version)()).to_string_lossy().into_owned();
        if ((*base).get_api)(API).is_null() {
            return Err(wrong(format!("it is version {version}; at least 1.{API} is needed")));
        }
        // Kept open: closing and opening anew would run the initialisers twice.
        std::mem::forget(library);
        Ok(version)
    }
}

/// Where a model is: in the configured folder, under the program's folder and its parents, or where a package puts it.
fn find_model(settings: &config::Vision, name: &str) -> Result<PathBuf, VisionError> {
    let candidates = match &settings.models {
        Some(folder) => vec![folder.join(name)],
        None => {
            let installed = Path::new("/usr/lib/plategate/models").join(name);
            upwards(&Path::new("models").join(name)).into_iter().chain([installed]).collect()
        }
    };
    let missing = || match &settings.models {
        Some(folder) => VisionError::Model { path: folder.join(name), problem: "no such file".into() },
        None => VisionError::ModelNotFound { name: name.into() },
    };
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(missing)
}

/// Is this a model of ours? For [`crate::fuzzing`].
pub(crate) fn try_model(bytes: &[u8]) -> Result<(), String> {
    let model = Model { path: "model.onnx".into(), role: "reader", bytes: bytes.to_vec(), profile: None };
    model.session(&config::Vision::default(), &[]).map(drop).map_err(|error| error.to_string())
}

/// One of the models: its bytes, checked by size.
pub struct Model {
    /// The file.
    pub path: PathBuf,
    role: &'static str,
    bytes: Vec<u8>,
    /// Where its session writes down how long each node took.
    profile: Option<PathBuf>,
}

impl Model {
    /// Reads `<folder>/<role>.onnx` or its 8-bit form `<role>.int8.onnx`, as the precision asks; the folder is found by
    /// itself when not configured.
    pub fn read(settings: &config::Vision, role: &'static str) -> Result<Model, VisionError> {
        let (plain, int8) = (format!("{role}.onnx"), format!("{role}.int8.onnx"));
        let path = match settings.precision {
            Precision::Fp32 => find_model(settings, &plain),
            Precision::Int8 => find_model(settings, &int8),
            // The others lose more readings by integers than they gain in time; see calibration/int8.
            Precision::Auto if settings.provider == Provider::Cpu && role == "reader" => {
                find_model(settings, &int8).or_else(|_| find_model(settings, &plain))
            }
            Precision::Auto => find_model(settings, &plain),
        }?;
        let wrong = |problem: String| VisionError::Model { path: path.clone(), problem };
        let size = std::fs::metadata(&path).map_err(|e| wrong(e.to_string()))?.len();
        if size == 0 || size > LARGEST_MODEL {
            return Err(wrong(format!("{size} bytes are no {role} model")));
        }
        let bytes = std::fs::read(&path).map_err(|e| wrong(e.to_string()))?;
        Ok(Model { path, role, bytes, profile: None })
    }

    /// Has its session write down how long each node took, into a file whose name begins so.
    pub fn profiled(self, prefix: PathBuf) -> Model {
        Model { profile: Some(prefix), ..self }
    }

    /// Makes a session, with the named dimensions fixed.
    pub fn session(&self, settings: &config::Vision, dimensions: &[(&str, usize)]) -> Result<Session, VisionError> {
        let library = library(settings)?;
        let wrong = |problem: String| VisionError::Model { path: self.path.clone(), problem };
        let build = |all_of_it: bool| build(library, settings, self, dimensions, all_of_it);
        // A provider that leaves parts of a network to the CPU is told of. To try that with TensorRT would build its engine twice.
        let strict = !matches!(settings.provider, Provider::Cpu | Provider::Tensorrt);
        let session = build(strict).or_else(|error| {
            let again = if strict { build(false) } else { Err(error) };
            if again.is_ok() {
                let (network, provider) = (self.role, settings.provider.name());
                tracing::warn!(
                    network,
                    provider,
                    "parts of this network run on the CPU: the provider cannot do all of it"
                );
            }
            again
        });
        let session = session.map_err(|e| wrong(one_line(&e.to_string())))?;
        self.check(&session).map_err(wrong)?;
        Ok(session)
    }

    /// What the model's makers wrote into it: when and how it was trained, and `int8` if it is the 8-bit form.
    pub fn trained(session: &Session) -> String {
        let Ok(metadata) = session.metadata() else { return String::new() };
        let told = |key: &str| metadata.custom(key).unwrap_or_default();
        [told("plategate.trained"), told("plategate.precision")].join(" ").trim_end().into()
    }

    /// Is this the model it should be?
    fn check(&self, session: &Session) -> Result<(), String> {
        let metadata = session.metadata().map_err(|e| e.to_string())?;
        let told = |key: &str| metadata.custom(key).unwrap_or_default();
        if told("plategate.role") != self.role {
            return Err(format!("it says it is a '{}', not a {}", told("plategate.role"), self.role));
        }
        if told("plategate.version") != "1" {
            return Err(format!("its version is '{}', this plategate reads version 1", told("plategate.version")));
        }
        if self.role == "reader" && !told("plategate.alphabet").chars().eq(ALPHABET) {
            return Err("its alphabet is not this plategate's".into());
        }
        let (input, outputs): (&str, &[&str]) = match self.role {
            "detector" => ("image", &["plates"]),
            "corners" => ("patch", &["corners", "flags"]),
            _ => ("plate", &["slots", "colour"]),
        };
        let inputs_fit = session.inputs().len() == 1 && session.inputs()[0].name() == input;
        let outputs_fit = outputs.iter().all(|name| session.outputs().iter().any(|o| o.name() == *name));
        if inputs_fit && outputs_fit { Ok(()) } else { Err("its inputs and outputs are others".into()) }
    }
}

fn build(
    library: &Library,
    settings: &config::Vision,
    model: &Model,
    dimensions: &[(&str, usize)],
    all_of_it: bool,
) -> Result<Session, ort::Error> {
    let mut builder = Session::builder(&library.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(settings.threads)?
        .with_inter_threads(1)?
        // Two spinning threads take each other's core on a small box.
        .with_intra_op_spinning(false)?;
    for &(name, size) in dimensions {
        builder = builder.with_dimension_override(name, size as i64)?;
    }
    if let Some(prefix) = &model.profile {
        builder = builder.with_profiling(prefix)?;
    }
    if all_of_it {
        builder = builder.with_disable_cpu_fallback()?;
    }
    register(settings, &mut builder)?;
    builder.commit_from_memory(&model.bytes)
}

/// Where this provider keeps what it builds. On a disk that cannot be written it builds anew at every start: slow, but it reads.
fn engine_cache(settings: &config::Vision) -> Option<String> {
    if !matches!(settings.provider, Provider::Tensorrt | Provider::Openvino) {
        return None;
    }
    let folder = settings.engine_cache.as_ref()?.join(settings.provider.name());
    if let Err(error) = std::fs::create_dir_all(&folder) {
        tracing::warn!("{}: {error}: what the provider builds is not kept", folder.display());
        return None;
    }
    Some(folder.display().to_string())
}

/// Asks for the provider, and fails if the library does not have it: a gate that silently fell back to the CPU would
/// only be slow.
fn register(settings: &config::Vision, builder: &mut SessionBuilder) -> ort::Result<()> {
    use ort::ep;
    let cache = engine_cache(settings);
    match settings.provider {
        Provider::Cpu => Ok(()),
        Provider::Cuda => ep::CUDA::default().register(builder),
        Provider::Tensorrt => {
            let half = settings.precision == Precision::Auto;
            let tensorrt = ep::TensorRT::default().with_fp16(half).with_int8(settings.precision == Precision::Int8);
            match cache {
                Some(folder) => tensorrt
                    .with_engine_cache(true)
                    .with_engine_cache_path(&folder)
                    .with_timing_cache(true)
                    .with_timing_cache_path(&folder)
                    .register(builder),
                None => tensorrt.register(builder),
            }
        }
        Provider::Openvino => {
            let openvino = ep::OpenVINO::default().with_device_type("CPU").with_num_threads(settings.threads);
            match cache {
                Some(folder) => openvino.with_cache_dir(folder).register(builder),
                None => openvino.register(builder),
            }
        }
        Provider::Qnn => ep::QNN::default().register(builder),
        Provider::Rknpu => ep::RKNPU::default().register(builder),
        Provider::Cann => ep::CANN::default().register(builder),
        Provider::Xnnpack => {
            let threads = std::num::NonZeroUsize::new(settings.threads).unwrap_or(std::num::NonZeroUsize::MIN);
            ep::XNNPACK::default().with_intra_op_num_threads(threads).register(builder)
        }
        Provider::Acl => ep::ACL::default().register(builder),
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    fn problem(settings: &config::Vision) -> String {
        match find_library(settings.onnxruntime.as_deref(), Provider::Cpu).and_then(|path| inspect(&path)) {
            Ok(version) => version,
            Err(error) => error.to_string(),
        }
    }

    fn with_library(path: &Path) -> config::Vision {
        config::Vision { onnxruntime: Some(path.to_path_buf()), ..Default::default() }
    }

    #[test]
    fn a_missing_or_wrong_library_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.so");
        assert!(problem(&with_library(&missing)).contains("none.so: no such file"));
        let text = folder.path().join("text.so");
        std::fs::write(&text, "not a library").unwrap();
        assert!(problem(&with_library(&text)).contains("not a shared library"));
        let cut = folder.path().join("cut.so");
        std::fs::write(&cut, b"\x7fELF\x02\x01\x01").unwrap();
        assert!(problem(&with_library(&cut)).contains("cut.so"));
    }

    #[test]
    fn another_library_is_told_from_onnx_runtime() {
        let Some(libc) = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"]
            .iter()
            .map(Path::new)
            .find(|p| p.exists())
        else {
            eprintln!("skipped: no libm where Debian keeps it");
            return;
        };
        assert!(problem(&with_library(libc)).contains("OrtGetApiBase"));
    }

    #[test]
    fn models_that_are_not_ours_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = config::Vision { models: Some(folder.path().into()), ..Default::default() };
        let read = |role| Model::read(&settings, role).and_then(|m| m.session(&settings, &[]));
        assert!(read("reader").err().unwrap().to_string().contains("reader.onnx"));
        let good = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/reader.onnx")).unwrap();
        for cut in [1, 100, good.len() / 2, good.len() - 1] {
            std::fs::write(folder.path().join("reader.onnx"), &good[..cut]).unwrap();
            assert!(read("reader").err().unwrap().to_string().contains("reader.onnx"), "cut at {cut}");
        }
        let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for _ in 0..60 {
            // The metadata and the contract's names stand at the end of the file.
            let mut bent = good.clone();
            let at = good.len() - 1 - chance.random_range(0..600);
            bent[at] ^= 1 << chance.random_range(0..8);
            std::fs::write(folder.path().join("reader.onnx"), &bent).unwrap();
            if let Err(error) = read("reader") {
                let text = error.to_string();
                assert!(text.contains("reader.onnx") && !text.contains('\n'), "byte {at}: {text}");
            }
        }
        let int8 = config::Vision { precision: config::Precision::Int8, ..settings.clone() };
        assert!(Model::read(&int8, "reader").err().unwrap().to_string().contains("reader.int8.onnx: no such file"));
        std::fs::write(folder.path().join("corners.onnx"), &good).unwrap();
        assert!(read("corners").err().unwrap().to_string().contains("says it is a 'reader'"));
    }
}
