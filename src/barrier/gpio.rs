//! The kernel's GPIO character device: a relay on a requested line.
//!
//! The words are the kernel's: a *chip* has *lines*, each with an *offset*; a line is *requested* by a *consumer* and is
//! then *used*; its logical value is *active* or *inactive*, and *active low* turns that round at the pin.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gpiocdev::line::{Offset, Value};
use gpiocdev::{Chip, Request, request};

use super::{Arm, ArmError};
use crate::config::{self, Drive, Line};

/// The name that other programs see on our lines.
pub const CONSUMER: &str = "plategate";

/// A line requested as an output, inactive from its first moment on, and held until it is dropped.
pub struct GpioArm {
    request: Request,
    line: LineReport,
}

/// What is known of a line without requesting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReport {
    /// The chip.
    pub chip: PathBuf,
    /// The chip's label, such as `pinctrl-bcm2711`.
    pub label: String,
    /// The line's offset on the chip.
    pub offset: Offset,
    /// The line's name on the board, such as `GPIO17`; may be empty.
    pub name: String,
    /// Lines of the chip.
    pub lines: u32,
    /// Who holds it, if it is used; may be empty for a line that the kernel keeps to itself.
    pub used_by: Option<String>,
}

impl GpioArm {
    /// Requests the "open" line of `[barrier]`.
    ///
    /// The request itself sets the line to inactive, so a relay does not click when the program starts.
    pub fn open(settings: &config::Barrier) -> Result<GpioArm, ArmError> {
        GpioArm::on(settings, &settings.line)
    }

    /// The same for another line of the same chip, with the same drive.
    pub(super) fn on(settings: &config::Barrier, line: &Line) -> Result<GpioArm, ArmError> {
        let mut config = request::Config::default();
        config.as_output(Value::Inactive).with_drive(match settings.drive {
            Drive::PushPull => gpiocdev::line::Drive::PushPull,
            Drive::OpenDrain => gpiocdev::line::Drive::OpenDrain,
            Drive::OpenSource => gpiocdev::line::Drive::OpenSource,
        });
        if settings.active_low {
            config.as_active_low();
        }
        let (request, line) = take(&settings.chip, line, config, "an output")?;
        Ok(GpioArm { request, line })
    }

    fn set(&self, value: Value) -> Result<(), ArmError> {
        self.request
            .set_value(self.line.offset, value)
            .map_err(|error| ArmError::Output(format!("{}: {error}", self.describe())))
    }
}

/// Requests a free line with this configuration, as `what`.
pub(super) fn take(
    chip: &str,
    line: &Line,
    mut config: request::Config,
    what: &str,
) -> Result<(Request, LineReport), ArmError> {
    let found = look(chip, line)?;
    if let Some(consumer) = &found.used_by {
        return Err(busy(&found.chip, found.offset, consumer));
    }
    config.on_chip(&found.chip).with_line(found.offset);
    match Request::from_config(config).with_consumer(CONSUMER).request() {
        Ok(request) => Ok((request, found)),
        Err(error) => Err(match look(chip, line) {
            // Somebody was faster than us.
            Ok(LineReport { used_by: Some(consumer), .. }) => busy(&found.chip, found.offset, &consumer),
            _ => ArmError::Unavailable(format!(
                "{} line {} cannot be {what}: {}; see `gpioinfo` for the lines that can",
                found.chip.display(),
                found.offset,
                dotless(&error)
            )),
        }),
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
        format!("gpio {} line {}", self.line.chip.display(), self.line.offset)
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

/// Looks at a line without requesting it: nothing moves. `chip` is a path, a label or a name. The error says what to do.
pub fn look(chip: &str, line: &Line) -> Result<LineReport, ArmError> {
    let path = find_chip(chip)?;
    let (chip, info) = open_chip(&path)?;
    let offset = match line {
        Line::Offset(offset) => *offset,
        Line::Name(name) => find_line(&chip, &path, name)?,
    };
    if offset >= info.num_lines {
        return Err(ArmError::Unavailable(format!(
            "{} has {} lines, 0 to {}: choose one of them, not {offset}",
            path.display(),
            info.num_lines,
            info.num_lines.saturating_sub(1)
        )));
    }
    let line = chip.line_info(offset).map_err(|error| {
        ArmError::Unavailable(format!("{} line {offset} cannot be looked at: {error}", path.display()))
    })?;
    let used_by = line.used.then_some(line.consumer);
    Ok(LineReport { chip: path, label: info.label, offset, name: line.name, lines: info.num_lines, used_by })
}

fn open_chip(path: &Path) -> Result<(Chip, gpiocdev::chip::Info), ArmError> {
    // Opened by hand first, because a plain error of the system tells apart what the operator must do.
    File::open(path).map_err(|error| unavailable(path, &error))?;
    let open = || {
        let chip = Chip::from_path(path)?;
        let info = chip.info()?;
        Ok((chip, info))
    };
    open().map_err(|error: gpiocdev::Error| {
        ArmError::Unavailable(format!("{} is not a GPIO chip ({}); {}", path.display(), dotless(&error), found()))
    })
}

/// The chip of this path, label or name. A label stays the same when the kernel numbers its chips in another order.
fn find_chip(chip: &str) -> Result<PathBuf, ArmError> {
    if chip.contains('/') {
        return Ok(chip.into());
    }
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name == chip);
    let labelled = |path: &PathBuf| open_chip(path).is_ok_and(|(_, info)| info.label == chip);
    let all = chips();
    if let Some(path) = all.iter().find(|path| named(path)) {
        return Ok(path.clone());
    }
    match all.iter().filter(|path| labelled(path)).collect::<Vec<_>>().as_slice() {
        [path] => Ok((*path).clone()),
        [] => Err(ArmError::Unavailable(format!("no GPIO chip has the name or label '{chip}'; {}", found()))),
        several => {
            let paths: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(ArmError::Unavailable(format!(
                "several GPIO chips have the label '{chip}': name one of {} by its path",
                paths.join(", ")
            )))
        }
    }
}

fn find_line(chip: &Chip, path: &Path, name: &str) -> Result<Offset, ArmError> {
    let infos = chip.line_info_iter().map_err(|error| {
        ArmError::Unavailable(format!("{}: its lines cannot be listed: {}", path.display(), dotless(&error)))
    })?;
    let offsets: Vec<Offset> =
        infos.filter_map(Result::ok).filter(|info| info.name == name).map(|i| i.offset).collect();
    let path = path.display();
    match offsets.as_slice() {
        [offset] => Ok(*offset),
        [] => Err(ArmError::Unavailable(format!("{path} has no line '{name}'; `gpioinfo` lists their names"))),
        [..] => Err(ArmError::Unavailable(format!(
            "{path} has several lines '{name}' ({offsets:?}): give the offset of one as a number"
        ))),
    }
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
    let labelled = |path: &PathBuf| {
        let label = Chip::from_path(path).and_then(|chip| chip.info()).map(|info| format!(" ({})", info.label));
        format!("{}{}", path.display(), label.unwrap_or_default())
    };
    let chips: Vec<String> = chips().iter().map(labelled).collect();
    match chips.is_empty() {
        true => "this machine has no GPIO chip: use barrier.output = \"simulated\" to try things out".into(),
        false => format!("the chips of this machine are {}", chips.join(", ")),
    }
}

fn dotless(error: &gpiocdev::Error) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        let settings = config::Barrier { chip: path.display().to_string(), ..Default::default() };
        let error = GpioArm::open(&settings).err().expect("no chip here");
        assert!(matches!(error, ArmError::Unavailable(_)));
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn a_missing_chip_says_what_there_is() {
        let text = refusal(Path::new("/dev/gpiochip-that-is-not-there"));
        assert!(text.contains("there is no /dev/gpiochip-that-is-not-there"), "{text}");
        assert!(text.contains("barrier.output") || text.contains("the chips of this machine"), "{text}");
        let text = look("pinctrl-of-nothing", &Line::Name("GPIO17".into())).unwrap_err().to_string();
        assert!(text.contains("label 'pinctrl-of-nothing'"), "{text}");
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
