//! ONNX Runtime, loaded at run time, and sessions on the configured provider.
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
use super::model::Model;
use crate::config::{self, Precision, Provider};
use crate::text::one_line;

/// The oldest API of ONNX Runtime that will do: that of 1.24.
const API: u32 = 24;
/// The version that is installed by default.
const VERSION: &str = "1.32.0";
/// The same with OpenVINO, as `scripts/openvino` fetches it.
const OPENVINO_VERSION: &str = "1.24.1";

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
pub(super) fn upwards(relative: &Path) -> Vec<PathBuf> {
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

/// Does the library have the configured provider? Asked before a model is looked at, so that a model is not blamed for it.
pub(super) fn check_provider(library: &Library, settings: &config::Vision) -> Result<(), VisionError> {
    let mut builder = Session::builder(&library.environment)?;
    register(settings, &mut builder).map_err(|error| VisionError::Provider {
        path: library.path.clone(),
        provider: settings.provider,
        problem: one_line(&error.to_string()).trim_end_matches('.').into(),
    })
}

/// Makes a session of a model, with the named dimensions fixed. `all_of_it`: fails where the provider leaves a part to the CPU.
pub(super) fn build(
    library: &Library,
    settings: &config::Vision,
    model: &Model,
    dimensions: &[(&str, usize)],
    all_of_it: bool,
) -> Result<Session, ort::Error> {
    let level = if model.is_laid_out() { GraphOptimizationLevel::All } else { GraphOptimizationLevel::Level1 };
    let mut builder = Session::builder(&library.environment)?
        .with_optimization_level(level)?
        .with_intra_threads(settings.threads)?
        .with_inter_threads(1)?
        // Two spinning threads take each other's core on a small box.
        .with_intra_op_spinning(false)?;
    for &(name, size) in dimensions {
        builder = builder.with_dimension_override(name, size as i64)?;
    }
    if let Some(prefix) = model.profile() {
        builder = builder.with_profiling(prefix)?;
    }
    if all_of_it {
        builder = builder.with_disable_cpu_fallback()?;
    }
    register(settings, &mut builder)?;
    builder.commit_from_memory(model.bytes())
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
}
