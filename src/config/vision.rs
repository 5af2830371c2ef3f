//! `[vision]`: How plates are read.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};

/// `[vision]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vision {
    /// The folder with `detector.onnx`, `corners.onnx`, `reader.onnx` and `second_reader.onnx`; found by itself when not set.
    pub models: Option<PathBuf>,
    /// ONNX Runtime's shared library; found by itself when not set.
    pub onnxruntime: Option<PathBuf>,
    /// What computes.
    pub provider: Provider,
    /// What computes where that cannot be had, in this order. If it is empty, plategate does not start without it.
    pub fallback: Vec<Provider>,
    /// Where a provider keeps what it has built of the networks (TensorRT's engines, OpenVINO's blobs), so that it builds them
    /// once; beside the data when not set.
    pub engine_cache: Option<PathBuf>,
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
    /// Is what the reader doubts shown to a second, larger reader as well? Costs about 3 ms for such a frame.
    pub second_reader: bool,
    /// While something moves, only every so-manieth frame is read; the frame that woke the lane always is.
    pub read_every: u32,
    /// Is a lane that does not change left unread?
    pub sleep_when_still: bool,
    /// Such a lane is read again after so long all the same, milliseconds.
    pub look_again_ms: u64,
}

impl Default for Vision {
    fn default() -> Vision {
        Vision {
            models: None,
            onnxruntime: None,
            provider: Provider::Cpu,
            fallback: Vec::new(),
            engine_cache: None,
            precision: Precision::Auto,
            threads: 1,
            lane: None,
            search_px: 608,
            narrowest_plate_px: 40.0,
            second_reader: true,
            read_every: 1,
            sleep_when_still: true,
            look_again_ms: 1000,
        }
    }
}

impl Vision {
    /// What is to compute, the wanted one first.
    pub fn order(&self) -> Vec<Provider> {
        std::iter::once(self.provider).chain(self.fallback.iter().copied()).collect()
    }

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
        let mut order = self.order();
        while let Some(provider) = order.pop() {
            if order.contains(&provider) {
                let found = format!("{:?}", self.fallback);
                return Err(Problem::new(
                    "vision.fallback",
                    found,
                    "each provider once, and not vision.provider again",
                ));
            }
        }
        within("vision.read_every", self.read_every, 1..=30, "1..30 frames")?;
        within("vision.look_again_ms", self.look_again_ms, 40..=2000, "40..2000 milliseconds")?;
        within("vision.narrowest_plate_px", self.narrowest_plate_px, 8.0..=4000.0, "8..4000 pixels")
    }
}

/// How the networks compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Each network in the form that was measured to serve best: on a CPU in 8-bit integers, elsewhere in 32-bit floating
    /// point (TensorRT: 16-bit).
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

impl Provider {
    /// As it is written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::Tensorrt => "tensorrt",
            Provider::Openvino => "openvino",
            Provider::Qnn => "qnn",
            Provider::Rknpu => "rknpu",
            Provider::Cann => "cann",
            Provider::Xnnpack => "xnnpack",
            Provider::Acl => "acl",
        }
    }

    /// May it take minutes to build its engines when it starts for the first time?
    pub fn builds_engines(self) -> bool {
        matches!(self, Provider::Tensorrt | Provider::Openvino | Provider::Qnn | Provider::Cann)
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
