//! The kernel's GPIO character device: a relay on a requested line.
//!
//! The words are the kernel's: a *chip* has *lines*, each with an *offset*; a line is *requested* by a *consumer* and is
//! then *used*; its logical value is *active* or *inactive*, and *active low* turns that round at the pin.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gpiocdev::line::{Offset, Value};
use gpiocdev::{Chip, Request};

use super::{Arm, ArmError};

/// The name that other programs see on our line.
pub const CONSUMER: &str = "plategate";

/// A line requested as an output, inactive from its first moment on, and held until it is dropped.
pub struct GpioArm {
    request: Request,
    chip: PathBuf,
    offset: Offset,
}

/// What is known of a line without requesting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReport {
    /// The line's name on the board, such as `GPIO17`; may be empty.
    pub name: String,
    /// The chip's label, such as `pinctrl-bcm2711`.
    pub label: String,
    /// Lines of the chip.
    pub lines: u32,
    /// Who holds it, if it is used; may be empty for a line that the kernel keeps to itself.
    pub used_by: Option<String>,
}

impl GpioArm {
    /// Requests the line.
    ///
    /// The request itself sets the line to inactive, so a relay does not click when the program starts.
    pub fn open(chip: &Path, offset: Offset, active_low: bool) -> Result<GpioArm, ArmError> {
        let report = look(chip, offset)?;
        if let Some(consumer) = report.used_by {
            return Err(busy(chip, offset, &consumer));
        }
        let mut builder = Request::builder();
        builder.on_chip(chip).with_consumer(CONSUMER).with_line(offset).as_output(Value::Inactive);
        if active_low {
            builder.as_active_low();
        }
        match builder.request() {
            Ok(request) => Ok(GpioArm { request, chip: chip.to_path_buf(), offset }),
            Err(error) => Err(match look(chip, offset) {
                // Somebody was faster than us.
                Ok(LineReport { used_by: Some(consumer), .. }) => busy(chip, offset, &consumer),
                _ => ArmError::Unavailable(format!(
                    "{} line {offset} cannot be an output: {error}; see `gpioinfo` for the lines that can",
                    chip.display()
                )),
            }),
        }
    }

    fn set(&self, value: Value) -> Result<(), ArmError> {
        self.request
            .set_value(self.offset, value)
            .map_err(|error| ArmError::Output(format!("{}: {error}", self.describe())))
    }
}

impl Arm for GpioArm {
    fn press(&mut self) -> Result<(), ArmError> {
        self.set(Value::Active)
    }

    fn release(&mut self) -> Result<(), ArmError> {
        self.set(Value::Inactive)
    }

    fn describe(&self) -> String {
        format!("gpio {} line {}", self.chip.display(), self.offset)
    }
}

impl Drop for GpioArm {
    fn drop(&mut self) {
        // The kernel promises nothing about the level of a line that is given back: leave it inactive.
        if let Err(error) = self.set(Value::Inactive) {
            tracing::error!("{error}");
        }
    }
}

/// Looks at a line without requesting it: nothing moves. The error says what to do.
pub fn look(path: &Path, offset: Offset) -> Result<LineReport, ArmError> {
    // Opened by hand first, because a plain error of the system tells apart what the operator must do.
    File::open(path).map_err(|error| unavailable(path, &error))?;
    let not_a_chip = |error: gpiocdev::Error| {
        ArmError::Unavailable(format!("{} is not a GPIO chip ({}); {}", path.display(), dotless(&error), found()))
    };
    let chip = Chip::from_path(path).map_err(not_a_chip)?;
    let info = chip.info().map_err(not_a_chip)?;
    if offset >= info.num_lines {
        return Err(ArmError::Unavailable(format!(
            "{} has {} lines, 0 to {}: set barrier.line to one of them, not {offset}",
            path.display(),
            info.num_lines,
            info.num_lines.saturating_sub(1)
        )));
    }
    let line = chip.line_info(offset).map_err(|error| {
        ArmError::Unavailable(format!("{} line {offset} cannot be looked at: {error}", path.display()))
    })?;
    let used_by = line.used.then_some(line.consumer);
    Ok(LineReport { name: line.name, label: info.label, lines: info.num_lines, used_by })
}

/// The GPIO chips of this machine.
pub fn chips() -> Vec<PathBuf> {
    gpiocdev::chip::chips().unwrap_or_default()
}

fn unavailable(path: &Path, error: &std::io::Error) -> ArmError {
    let path = path.display();
    ArmError::Unavailable(match error.kind() {
        ErrorKind::NotFound => format!("there is no {path}; {}", found()),
        ErrorKind::PermissionDenied => format!(
            "no permission for {path}: install deploy/99-plategate.rules to /etc/udev/rules.d, add the user to the group \
             gpio (`usermod -aG gpio USER`) and sign in anew"
        ),
        _ => format!("{path} cannot be opened: {error}"),
    })
}

/// Why a line that `consumer` holds cannot be had, and what to do.
pub fn busy(chip: &Path, offset: Offset, consumer: &str) -> ArmError {
    let chip = chip.display();
    ArmError::Unavailable(match consumer {
        CONSUMER => format!("{chip} line {offset} is held by another plategate: stop it first"),
        "" => format!("{chip} line {offset} is kept by the kernel (a device tree or a driver uses it): choose another"),
        _ => format!("{chip} line {offset} is held by '{consumer}': stop that program or choose another line"),
    })
}

/// What to write into the configuration instead.
fn found() -> String {
    let chips: Vec<String> = chips().iter().map(|chip| chip.display().to_string()).collect();
    match chips.is_empty() {
        true => "this machine has no GPIO chip: use barrier.output = \"simulated\" to try things out".into(),
        false => format!("set barrier.chip to one of {}", chips.join(", ")),
    }
}

fn dotless(error: &gpiocdev::Error) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        let error = GpioArm::open(path, 17, false).err().expect("no chip here");
        assert!(matches!(error, ArmError::Unavailable(_)));
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn a_missing_chip_says_what_there_is() {
        let text = refusal(Path::new("/dev/gpiochip-that-is-not-there"));
        assert!(text.contains("there is no /dev/gpiochip-that-is-not-there"), "{text}");
        assert!(text.contains("barrier."), "{text}");
    }

    #[test]
    fn other_files_are_no_chips() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gpiochip0");
        std::fs::write(&file, "").unwrap();
        for path in [Path::new("/dev/null"), Path::new("/"), folder.path(), &file] {
            let text = refusal(path);
            assert!(text.contains("is not a GPIO chip"), "{text}");
        }
    }

    #[test]
    fn a_busy_line_names_its_holder() {
        let chip = Path::new("/dev/gpiochip0");
        for (consumer, part) in [("plategate", "another plategate"), ("", "kept by the kernel"), ("led0", "'led0'")] {
            let text = busy(chip, 17, consumer).to_string();
            assert!(text.starts_with("/dev/gpiochip0 line 17 is") && text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_refused_chip_says_which_rule_to_install() {
        let denied = std::io::Error::from(ErrorKind::PermissionDenied);
        let text = unavailable(Path::new("/dev/gpiochip0"), &denied).to_string();
        assert!(text.contains("99-plategate.rules") && text.contains("usermod -aG gpio"), "{text}");
    }
}
