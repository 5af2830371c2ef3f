//! One car's frames, fused.
