//! The files of the networks: found, checked, and made into sessions.

use std::path::{Path, PathBuf};

use ort::session::Session;

use super::VisionError;
use super::runtime::{self, library, upwards};
use crate::config::{self, Precision, Provider};
use crate::plate::ALPHABET;
use crate::text::one_line;

/// Larger files are no models of ours.
const LARGEST_MODEL: u64 = 64 << 20;

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
        Some(folder) => VisionError::model(&folder.join(name), "no such file"),
        None => VisionError::ModelNotFound { name: name.into() },
    };
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(missing)
}

/// Is this a model of ours? For [`crate::fuzzing`].
pub(crate) fn try_model(bytes: &[u8]) -> Result<(), String> {
    let model =
        Model { path: "model.onnx".into(), role: "reader", bytes: bytes.to_vec(), profile: None, laid_out: true };
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
    /// Are tensors laid out anew for the processor, which pads their channels?
    laid_out: bool,
}

impl Model {
    /// Reads `<folder>/<role>.onnx` or its 8-bit form `<role>.int8.onnx`, as the precision asks; the folder is found by
    /// itself when not configured.
    pub fn read(settings: &config::Vision, role: &'static str) -> Result<Model, VisionError> {
        let (plain, int8) = (format!("{role}.onnx"), format!("{role}.int8.onnx"));
        let path = match settings.precision {
            Precision::Fp32 => find_model(settings, &plain),
            Precision::Int8 => find_model(settings, &int8),
            // As accurate, and faster; see calibration/int8.
            Precision::Auto if settings.provider == Provider::Cpu => {
                find_model(settings, &int8).or_else(|_| find_model(settings, &plain))
            }
            Precision::Auto => find_model(settings, &plain),
        }?;
        let wrong = |problem: String| VisionError::model(&path, &problem);
        let size = std::fs::metadata(&path).map_err(|e| wrong(e.to_string()))?.len();
        if size == 0 || size > LARGEST_MODEL {
            return Err(wrong(format!("{size} bytes are no {role} model")));
        }
        let bytes = std::fs::read(&path).map_err(|e| wrong(e.to_string()))?;
        Ok(Model { path, role, bytes, profile: None, laid_out: true })
    }

    /// Has its session write down how long each node took, into a file whose name begins so.
    pub fn profiled(self, prefix: PathBuf) -> Model {
        Model { profile: Some(prefix), ..self }
    }

    /// Leaves its tensors as they are in the file, so that a profile tells their own shapes: slower.
    pub fn as_written(self) -> Model {
        Model { laid_out: false, ..self }
    }

    /// Where its session writes a profile, if it shall.
    pub(super) fn profile(&self) -> Option<&Path> {
        self.profile.as_deref()
    }

    /// May its tensors be laid out anew for the processor?
    pub(super) fn is_laid_out(&self) -> bool {
        self.laid_out
    }

    /// The file's content.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes a session, with the named dimensions fixed.
    pub fn session(&self, settings: &config::Vision, dimensions: &[(&str, usize)]) -> Result<Session, VisionError> {
        let library = library(settings)?;
        runtime::check_provider(library, settings)?;
        let wrong = |problem: String| VisionError::model(&self.path, &problem);
        let build = |all_of_it: bool| runtime::build(library, settings, self, dimensions, all_of_it);
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
        let session = session.map_err(|e| wrong(e.to_string()))?;
        self.check(&session).map_err(wrong)?;
        Ok(session)
    }

    /// What the model's makers wrote into it: when and how it was trained, and `int8` if it is the 8-bit form.
    pub fn trained(session: &Session) -> String {
        let Ok(metadata) = session.metadata() else { return String::new() };
        let told = |key: &str| metadata.custom(key).unwrap_or_default();
        one_line(&[told("plategate.trained"), told("plategate.precision")].join(" "))
    }

    /// What its input is to be for black and for white: 0 and 1 where the file does not tell.
    pub fn levels(session: &Session) -> [f32; 2] {
        let told = |key: &str| Some(session.metadata().ok()?.custom(key)?.parse().unwrap_or(f32::NAN));
        [told("plategate.black").unwrap_or(0.0), told("plategate.white").unwrap_or(1.0)]
    }

    /// Is the detector's score a logit? Otherwise it is a probability.
    pub fn score_is_logit(session: &Session) -> bool {
        session.metadata().ok().and_then(|told| told.custom("plategate.score")).as_deref() == Some("logit")
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
        if self.role.ends_with("reader") && !told("plategate.alphabet").chars().eq(ALPHABET) {
            return Err("its alphabet is not this plategate's".into());
        }
        let [black, white] = Model::levels(session);
        if !(black.is_finite() && white.is_finite() && black < white) {
            return Err(format!("black is {black} and white {white} at its input"));
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

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

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

    #[test]
    fn what_a_model_says_of_itself_stays_within_the_line() {
        let mut bent = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/reader.onnx")).unwrap();
        let key = b"plategate.role";
        let at = bent.windows(key.len()).position(|window| window == key).unwrap();
        let role = bent[at..].windows(6).position(|window| window == b"reader").unwrap() + at;
        bent[role..role + 6].copy_from_slice(b"re\n\x1b[m");
        let error = try_model(&bent).unwrap_err();
        assert!(error.contains("says it is a 're \u{FFFD}[m'") && !error.contains(char::is_control), "{error:?}");
    }
}
