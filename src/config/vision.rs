//! `[vision]`: How plates are read.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};

/// `[vision]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vision {
    /// The folder with `detector.onnx`, `corners.onnx` and `reader.onnx`; found by itself when not set.
    pub models: Option<PathBuf>,
    /// ONNX Runtime's shared library; found by itself when not set.
    pub onnxruntime: Option<PathBuf>,
    /// What computes.
    pub provider: Provider,
    /// How the networks compute.
    pub precision: Precision,
    /// Threads a network may use.
    pub threads: usize,
    /// The lane in the picture: left, top, width, height as shares 0..1 of the frame. Nothing outside is looked at.
    pub lane: Option<[f32; 4]>,
    /// The frame's longer side in the copy that plates are looked for in, pixels, a multiple of 32. Less is faster and
    /// finds fewer far plates: one should be 14 pixels wide there.
    pub search_px: usize,
    /// The narrowest plate worth reading, pixels of the frame.
    pub narrowest_plate_px: f32,
}

impl Default for Vision {
    fn default() -> Vision {
        Vision {
            models: None,
            onnxruntime: None,
            provider: Provider::Cpu,
            precision: Precision::Auto,
            threads: 1,
            lane: None,
            search_px: 448,
            narrowest_plate_px: 40.0,
        }
    }
}

impl Vision {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("vision.threads", self.threads, 1..=64, "1..64 threads")?;
        if let Some([x, y, w, h]) = self.lane {
            let fits = |from: f32, size: f32| (0.0..1.0).contains(&from) && size > 0.0 && from + size <= 1.001;
            if !fits(x, w) || !fits(y, h) {
                let found = format!("[{x}, {y}, {w}, {h}]");
                return Err(Problem::new("vision.lane", found, "left, top, width, height as shares 0..1 of the frame"));
            }
        }
        if !(128..=1920).contains(&self.search_px) || !self.search_px.is_multiple_of(32) {
            return Err(Problem::new("vision.search_px", self.search_px, "128..1920 pixels, a multiple of 32"));
        }
        within("vision.narrowest_plate_px", self.narrowest_plate_px, 8.0..=4000.0, "8..4000 pixels")
    }
}

/// How the networks compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Each network in the form that was measured to serve best: on a CPU the reader in 8-bit integers, everything else
    /// in 32-bit floating point.
    #[default]
    Auto,
    /// 32-bit floating point.
    Fp32,
    /// 8-bit integers.
    Int8,
}

/// ONNX Runtime's execution providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Any CPU.
    #[default]
    Cpu,
    /// NVIDIA, through CUDA.
    Cuda,
    /// NVIDIA, through TensorRT (a Jetson's fastest).
    Tensorrt,
    /// Intel CPUs and GPUs.
    Openvino,
    /// Qualcomm NPUs.
    Qnn,
    /// Rockchip NPUs.
    Rknpu,
    /// Huawei Ascend NPUs.
    Cann,
    /// ARM and x86 CPUs, through XNNPACK.
    Xnnpack,
    /// ARM CPUs, through the Arm Compute Library.
    Acl,
}
