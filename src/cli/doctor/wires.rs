//! The wires: outputs, inputs, the hardware's watchdog, the sign. Looked at without taking anything that moves.

use std::path::Path;
use std::time::Duration;

use gpiocdev::line::Value;
use rustix::fs::{Access, access};

use super::Check;
use crate::barrier::{self, ArmError, CONSUMER, Input, ModbusBoard};
use crate::config::{Config, Line, Output, Sign, Wire};

/// The outputs: "open", and "close" where it is wired.
pub(super) fn outputs(config: &Config) -> Vec<Check> {
    let settings = &config.barrier;
    let close = settings.close.as_ref();
    match settings.output {
        Output::Simulated => {
            vec![Check::warning("open", "simulated: no relay will move", "set barrier.output")]
        }
        Output::Gpio => {
            let open = line("open", &settings.chip, &settings.line);
            let close = close.map(|close| line("close", &settings.chip, close));
            [Some(open), close].into_iter().flatten().collect()
        }
        Output::Modbus => {
            let mut checks = vec![board(config, "open", |board| {
                board
                    .read_coil(settings.coil)
                    .map(|on| format!("coil {}: {}", settings.coil, if on { "pressed" } else { "released" }))
            })];
            if let Some(Line::Offset(coil)) = close
                && let Ok(coil) = u16::try_from(*coil)
            {
                checks.push(board(config, "close", |board| {
                    board.read_coil(coil).map(|on| format!("coil {coil}: {}", if on { "pressed" } else { "released" }))
                }));
            }
            checks
        }
        Output::Serial => vec![port("open", &settings.port, ("the USB relay", "USB 继电器"))],
    }
}

fn line(name: &str, chip: &str, line: &Line) -> Check {
    let found = match barrier::look(chip, line) {
        Ok(found) => found,
        Err(error) => return Check::error(name, error),
    };
    let told = format!("{} ({}) line {} {}", found.chip.display(), found.label, found.offset, found.name);
    let told = told.trim_end();
    match found.used_by.as_deref() {
        None => Check::ok(name, format!("{told}: free")),
        Some(CONSUMER) => Check::ok(name, format!("{told}: held by a running plategate")),
        Some(other) => Check::error(name, barrier::busy(&found.chip, found.offset, other)),
    }
}

/// A serial port: there, and ours to use? It is not opened: a running plategate may have it.
fn port(name: &str, path: &str, (what, what_zh): (&str, &str)) -> Check {
    let file = Path::new(path);
    if !file.exists() {
        return Check::fault(
            name,
            format!("{path} is not there"),
            format!("plug {what} in; `ls /dev/serial/by-id` shows what there is"),
        )
        .zh(format!("没有 {path}：请插好{what_zh}（ls /dev/serial/by-id 可以看到有哪些）"));
    }
    match access(file, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Check::ok(name, format!("{path}: {what}")).zh(format!("{path}：{what_zh}")),
        Err(error) => Check::fault(
            name,
            format!("no permission for {path} ({error})"),
            "add the user to the group dialout (`usermod -aG dialout USER`) and sign in anew",
        )
        .zh(format!("没有 {path} 的权限：请把用户加入 dialout 组（usermod -aG dialout 用户名）后重新登录")),
    }
}

/// Asks the relay board one question.
fn board(config: &Config, name: &str, ask: impl Fn(&ModbusBoard) -> Result<String, ArmError>) -> Check {
    let answer = ModbusBoard::start(&config.modbus).and_then(|board| ask(&board));
    match answer {
        Ok(told) => Check::ok(name, format!("modbus {} unit {}, {told}", config.modbus.board, config.modbus.unit)),
        Err(error) => Check::error(name, error),
    }
}

/// The inputs with their levels at this moment.
pub(super) fn inputs(config: &Config) -> Vec<Check> {
    let mut checks: Vec<Check> = config.inputs.wires().map(|(input, wire)| level(config, input, wire)).collect();
    if checks.is_empty() {
        checks.push(Check::ok("inputs", "none is wired: whether the arm went up is not known"));
    }
    let loops = config.inputs.presence.is_some() || config.inputs.passage.is_some();
    if config.barrier.close.is_some() && !loops {
        let told = "\"close\" is wired and no presence input is: it will never be pressed";
        checks.push(Check::warning("close", told, "wire [inputs] presence or passage, or leave barrier.close out"));
    }
    for (key, votes, input) in [
        ("fire", config.barrier.fire_opens, &config.inputs.fire),
        ("power", config.barrier.power_opens, &config.inputs.power),
    ] {
        if votes && input.is_none() {
            let told = format!("barrier.{key}_opens is voted, and inputs.{key} is not wired");
            checks.push(Check::warning(key, told, format!("wire inputs.{key}, or set barrier.{key}_opens = false")));
        }
    }
    checks
}

fn level(config: &Config, input: Input, wire: &Wire) -> Check {
    let name = input.key();
    if let Some(at) = wire.modbus {
        return board(config, name, |board| {
            board.read_input(at).map(|on| format!("input {at}: {}", word(on != wire.active_low)))
        });
    }
    let Some(line) = &wire.line else { return Check::error(name, "neither a line nor a discrete input: see [inputs]") };
    let chip = wire.chip.as_deref().unwrap_or(&config.barrier.chip);
    let found = match barrier::look(chip, line) {
        Ok(found) => found,
        Err(error) => return Check::error(name, error),
    };
    let told = format!("{} line {} {}", found.chip.display(), found.offset, found.name);
    let told = told.trim_end();
    match found.used_by.as_deref() {
        None => {}
        Some(CONSUMER) => return Check::ok(name, format!("{told}: held by a running plategate, whose page shows it")),
        Some(other) => return Check::error(name, barrier::busy(&found.chip, found.offset, other)),
    }
    let debounce = Duration::from_millis(config.inputs.debounce_ms);
    let read = barrier::request_input(chip, line, wire.active_low, wire.bias, debounce).and_then(|(request, found)| {
        request.value(found.offset).map_err(|error| ArmError::Output(format!("{told}: {error}")))
    });
    match read {
        Ok(value) => Check::ok(name, format!("{told}: {}", word(value == Value::Active))),
        Err(error) => Check::error(name, error),
    }
}

fn word(active: bool) -> &'static str {
    if active { "active" } else { "clear" }
}

/// The hardware's watchdog. It is not opened: that would start its clock.
pub(super) fn watchdog(config: &Config) -> Option<Check> {
    let device = config.watchdog.device.as_ref()?;
    let told = device.display();
    Some(match access(device, Access::WRITE_OK) {
        Ok(()) => Check::ok("watchdog", format!("{told}: there, and may be written to")).zh(format!("{told} 可以使用")),
        Err(rustix::io::Errno::NOENT) => Check::fault(
            "watchdog",
            format!("{told} is not there"),
            "load its driver (such as `modprobe softdog`), or leave watchdog.device out",
        )
        .zh(format!("没有 {told}：请加载驱动（如 modprobe softdog），或去掉 watchdog.device")),
        Err(error) => Check::fault(
            "watchdog",
            format!("{told}: {error}"),
            "install deploy/99-plategate.rules to /etc/udev/rules.d",
        )
        .zh(format!("没有 {told} 的权限：请把 deploy/99-plategate.rules 装到 /etc/udev/rules.d")),
    })
}

/// The sign.
pub(super) fn sign(config: &Config) -> Option<Check> {
    match config.display.sign {
        Sign::None => None,
        Sign::Terminal => Some(
            Check::warning("sign", "terminal: nobody in a car sees it", "set display.sign = \"board\"")
                .zh("显示在终端上，车里的人看不到：请设 display.sign = \"board\""),
        ),
        Sign::Board => Some(port("sign", &config.display.port, ("the LED board's adaptor", "显示屏的转接线"))),
    }
}
