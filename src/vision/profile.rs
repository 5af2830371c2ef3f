//! What the networks compute, and how long their arithmetic takes: the way to tell how far the corridor is from its limit.
//!
//! ONNX Runtime itself writes down every node of a run with its shapes and its time. The multiply-adds follow from the
//! shapes, so that whatever model is loaded is counted, not a table of what it once was.

use std::path::Path;

use serde::Deserialize;

use super::VisionError;
use super::model::Model;
use super::network::Network;
use crate::config::{self, Precision, Provider};

/// Runs before those that count.
const WARM_UP: usize = 5;
/// Runs that count.
const RUNS: usize = 40;

/// One network's work.
#[derive(Clone, Debug)]
pub struct Work {
    /// `detector`, `corners` or `reader`.
    pub network: &'static str,
    /// Multiply-adds of one run.
    pub macs: f64,
    /// Of the run's time, the share 0..1 within nodes that multiply and add: convolutions and matrix products. None where a
    /// provider makes one node of the network.
    pub arithmetic: Option<f64>,
    /// The median run, milliseconds (with the profiler on).
    pub run_ms: f64,
}

/// Profiles the three networks that every frame goes through, as these settings have them. `folder` is where ONNX Runtime may write for a moment.
pub fn all(settings: &config::Vision, folder: &Path) -> Result<Vec<Work>, VisionError> {
    let (width, height) = super::detector::usual_shape(settings);
    let plates = [1, 9, height / 8, width / 8];
    let slots = [1, crate::plate::SLOTS, crate::plate::ALPHABET.len()];
    Ok(vec![
        one(settings, folder, "detector", ("image", [width, height]), &[("plates", &plates)])?,
        one(settings, folder, "corners", ("patch", [144, 48]), &[("corners", &[1, 8]), ("flags", &[1, 2])])?,
        one(settings, folder, "reader", ("plate", [144, 40]), &[("slots", &slots), ("colour", &[1, 6])])?,
    ])
}

/// Networks in 8-bit integers do not tell their weights' shapes, and layouts made for a processor tell padded ones: the
/// multiply-adds are those of the same network in floats as it is written, the times its own.
fn one(
    settings: &config::Vision,
    folder: &Path,
    role: &'static str,
    input: (&str, [usize; 2]),
    outputs: &[(&str, &[usize])],
) -> Result<Work, VisionError> {
    let floats = config::Vision { precision: Precision::Fp32, provider: Provider::Cpu, ..settings.clone() };
    let model =
        |settings: &config::Vision| Ok::<_, VisionError>(Model::read(settings, role)?.profiled(folder.join(role)));
    let macs = weigh(role, &run(model(&floats)?.as_written(), &floats, input, outputs, 1)?).macs;
    Ok(Work { macs, ..weigh(role, &run(model(settings)?, settings, input, outputs, RUNS)?) })
}

/// Runs a network with the profiler on, so many times after it is warm.
fn run(
    model: Model,
    settings: &config::Vision,
    (input, size): (&str, [usize; 2]),
    outputs: &[(&str, &[usize])],
    runs: usize,
) -> Result<Vec<Trace>, VisionError> {
    let [width, height] = size;
    let session = model.session(settings, &[("height", height), ("width", width)])?;
    let mut network = Network::new(session, input, size, outputs)?;
    for _ in 0..WARM_UP + runs {
        network.run()?;
    }
    let file = network.end_profile()?;
    let wrong = |problem: String| VisionError::model(&file, &problem);
    let text = std::fs::read_to_string(&file).map_err(|e| wrong(e.to_string()))?;
    // Only a trace: whether it can be removed does not matter to what it says.
    let _ = std::fs::remove_file(&file);
    serde_json::from_str(&text).map_err(|e| wrong(format!("no profile: {e}")))
}

/// One line of ONNX Runtime's profile.
#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    name: String,
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    #[serde(default)]
    op_name: String,
    #[serde(default)]
    input_type_shape: Vec<TypeShape>,
    #[serde(default)]
    output_type_shape: Vec<TypeShape>,
}

/// A tensor's shape under its type's name.
type TypeShape = std::collections::BTreeMap<String, Vec<f64>>;

impl Arguments {
    /// Is it a convolution or a matrix product?
    fn multiplies(&self) -> bool {
        ["Conv", "Gemm", "MatMul"].iter().any(|name| self.op_name.contains(name))
    }
}

fn weigh(network: &'static str, events: &[Trace]) -> Work {
    let mut runs: Vec<f64> = events.iter().filter(|e| e.name == "model_run").map(|e| e.dur).collect();
    let counted = runs.len().max(1) as f64;
    let nodes = || events.iter().filter(|e| e.name.ends_with("_kernel_time"));
    let macs = nodes().map(|e| multiply_adds(&e.args)).sum::<f64>() / counted;
    let within: f64 = nodes().filter(|e| e.args.multiplies()).map(|e| e.dur).sum();
    let arithmetic = (within > 0.0).then(|| (within / runs.iter().sum::<f64>().max(1.0)).min(1.0));
    runs.sort_by(f64::total_cmp);
    let run_ms = runs.get(runs.len() / 2).map_or(0.0, |us| us / 1e3);
    Work { network, macs, arithmetic, run_ms }
}

/// Of a convolution or a matrix product: every number of its output is a sum over its weights' other dimensions. Nothing for
/// other nodes.
fn multiply_adds(node: &Arguments) -> f64 {
    let shapes = |list: &[TypeShape]| -> Vec<Vec<f64>> { list.iter().flat_map(|t| t.values().cloned()).collect() };
    let (inputs, outputs) = (shapes(&node.input_type_shape), shapes(&node.output_type_shape));
    let Some(output) = outputs.first().map(|shape| shape.iter().product::<f64>()) else { return 0.0 };
    if node.op_name.contains("Conv") {
        // The weights are the second input of four dimensions: scales and zero points have none.
        let weights = inputs.iter().filter(|shape| shape.len() == 4).nth(1);
        return weights.map_or(0.0, |w| output * w[1..].iter().product::<f64>());
    }
    match inputs.first().and_then(|shape| shape.last()) {
        Some(inner) if node.multiplies() => output * inner,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiply_adds_are_counted_by_shape() {
        let trace = r#"[
            {"name": "model_run", "dur": 100, "args": {}},
            {"name": "a_kernel_time", "dur": 50, "args": {"op_name": "Conv",
                "input_type_shape": [{"float": [1, 3, 8, 8]}, {"float": [16, 3, 3, 3]}, {"float": [16]}],
                "output_type_shape": [{"float": [1, 16, 4, 4]}]}},
            {"name": "b_kernel_time", "dur": 20, "args": {"op_name": "QLinearConv",
                "input_type_shape": [{"uint8": [1, 4, 4, 16]}, {"float": []}, {"uint8": []}, {"int8": [8, 1, 3, 3]}],
                "output_type_shape": [{"uint8": [1, 4, 4, 8]}]}},
            {"name": "c_kernel_time", "dur": 10, "args": {"op_name": "FusedGemm",
                "input_type_shape": [{"float": [2, 5]}, {"float": [7, 5]}], "output_type_shape": [{"float": [2, 7]}]}},
            {"name": "d_kernel_time", "dur": 5, "args": {"op_name": "Sub",
                "input_type_shape": [{"float": [9]}, {"float": [9]}], "output_type_shape": [{"float": [9]}]}}
        ]"#;
        let work = weigh("reader", &serde_json::from_str::<Vec<Trace>>(trace).unwrap());
        assert_eq!(work.macs, 16.0 * 16.0 * 27.0 + 128.0 * 9.0 + 14.0 * 5.0);
        assert_eq!((work.arithmetic, work.run_ms), (Some(0.8), 0.1));
    }

    #[test]
    fn the_models_in_the_repository_are_weighed() {
        let folder = tempfile::tempdir().unwrap();
        let works = all(&config::Vision { search_px: 192, ..Default::default() }, folder.path()).unwrap();
        assert_eq!(works.iter().map(|w| w.network).collect::<Vec<_>>(), ["detector", "corners", "reader"]);
        for work in works {
            let arithmetic = work.arithmetic.unwrap();
            assert!(work.macs > 1e6 && work.run_ms > 0.0 && (0.1..=1.0).contains(&arithmetic), "{work:?}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no profile is left behind");
    }
}
