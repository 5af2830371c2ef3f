//! One network with its memory: written in place, run, read in place.
//!
//! The input and the outputs are bound to ONNX Runtime once, when the network is made. A run copies nothing and allocates
//! nothing on this side of the library.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use ort::AsPointer;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{Shape, TensorRefMut};

use super::model::Model;
use super::warp::Planes;

/// No network has more outputs than this.
const MOST_OUTPUTS: usize = 2;

/// A session whose input is [`Planes`].
pub struct Network {
    session: Session,
    // The tensors go before the memory that they stand on: fields are dropped in this order.
    input: Tensor,
    outputs: Vec<Tensor>,
    planes: Planes,
    answers: Vec<Vec<f32>>,
    spent: Duration,
}

// SAFETY: the values are memory of ours that ONNX Runtime has written down; nothing in them belongs to a thread, and only
// `run`, which needs the network for itself, touches them.
unsafe impl Send for Network {}

/// A named piece of our memory, as ONNX Runtime knows it.
struct Tensor {
    name: CString,
    value: TensorRefMut<'static, f32>,
}

impl Tensor {
    /// # Safety
    /// The memory must live where it is for as long as the tensor.
    unsafe fn new(name: &str, shape: &[usize], memory: &mut [f32]) -> ort::Result<Tensor> {
        debug_assert_eq!(shape.iter().product::<usize>(), memory.len());
        let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)?;
        let shape = Shape::new(shape.iter().map(|&n| n as i64));
        // SAFETY: `memory` is that many floats of the CPU's memory, and the caller keeps it in place.
        let value = unsafe { TensorRefMut::from_raw(info, memory.as_mut_ptr().cast::<c_void>(), shape)? };
        let name = CString::new(name).map_err(|e| ort::Error::new(e.to_string()))?;
        Ok(Tensor { name, value })
    }
}

impl Network {
    /// Binds a session's input, `width` x `height` pixels, and its outputs of these names and shapes.
    pub fn new(
        session: Session,
        input: &str,
        [width, height]: [usize; 2],
        outputs: &[(&str, &[usize])],
    ) -> ort::Result<Network> {
        assert!(outputs.len() <= MOST_OUTPUTS);
        let mut planes = Planes::between(width, height, Model::levels(&session));
        let mut answers: Vec<Vec<f32>> = outputs.iter().map(|(_, shape)| vec![0.0; shape.iter().product()]).collect();
        // SAFETY: planes and answers are kept beside their tensors, are never handed out but as slices (or as `Planes`, which
        // keeps its size), and so stay where they are until the tensors have gone.
        unsafe {
            let input = Tensor::new(input, &[1, 3, height, width], &mut planes.values)?;
            let bound =
                outputs.iter().zip(&mut answers).map(|((name, shape), memory)| Tensor::new(name, shape, memory));
            let outputs = bound.collect::<ort::Result<_>>()?;
            Ok(Network { session, input, outputs, planes, answers, spent: Duration::ZERO })
        }
    }

    /// What the next run will look at.
    pub fn planes(&mut self) -> &mut Planes {
        &mut self.planes
    }

    /// The session, for its metadata.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Ends a profile; gives the file that it was written to.
    pub fn end_profile(&mut self) -> ort::Result<std::path::PathBuf> {
        self.session.end_profiling().map(Into::into)
    }

    /// Runs the network over its planes; its answers can be read afterwards.
    pub fn run(&mut self) -> ort::Result<()> {
        debug_assert_eq!(self.planes.values.len(), 3 * self.planes.width * self.planes.height);
        let mut names = [ptr::null::<c_char>(); MOST_OUTPUTS];
        let mut values = [ptr::null_mut::<ort::sys::OrtValue>(); MOST_OUTPUTS];
        for (i, output) in self.outputs.iter().enumerate() {
            names[i] = output.name.as_ptr();
            values[i] = output.value.ptr().cast_mut();
        }
        let (input_name, input) = (self.input.name.as_ptr(), self.input.value.ptr());
        let begun = Instant::now();
        // SAFETY: the session and all values live in `self`; the arrays are as long as is said; outputs that are not null are
        // written into and stay ours. `&mut self` keeps everybody else out meanwhile.
        let result = unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                &raw const input_name,
                &raw const input,
                1,
                names.as_ptr(),
                self.outputs.len(),
                values.as_mut_ptr(),
            );
            ort::Error::<()>::result_from_status(status)
        };
        self.spent += begun.elapsed();
        result
    }

    /// How long it has run since this was last asked.
    pub fn take_spent(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    /// What the last run answered at this output.
    pub fn answer(&self, output: usize) -> &[f32] {
        &self.answers[output]
    }
}
