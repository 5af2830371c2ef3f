use super::super::{Edge, Note, SimulatedArm};
use super::*;

fn settings(pulse_ms: u64, min_gap_ms: u64) -> config::Barrier {
    config::Barrier { pulse_ms, min_gap_ms, ..config::Barrier::default() }
}

fn edges(arm: &SimulatedArm) -> Vec<Edge> {
    arm.history().iter().map(|(_, edge)| *edge).collect()
}

#[test]
fn a_press_is_let_go_after_its_time() {
    let arm = SimulatedArm::new();
    let barrier = Barrier::start(Box::new(arm.clone()), &settings(80, 200));
    let before = Instant::now();
    let Pulse::Pressed(at) = barrier.pulse() else { panic!("not pressed") };
    assert!(at >= before && barrier.state().last_reason == Some(Reason::car()));
    assert!(barrier.state().pressed && arm.is_pressed());
    std::thread::sleep(Duration::from_millis(300));
    assert!(!barrier.state().pressed);
    let history = arm.history();
    assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
    assert!(history[1].0 - history[0].0 >= Duration::from_millis(79));
}

#[test]
fn stopping_lets_go_at_once_and_ends_the_thread() {
    let arm = SimulatedArm::new();
    let barrier = Barrier::start(Box::new(arm.clone()), &settings(10_000, 10_000));
    barrier.pulse();
    barrier.stop();
    // The pulse is far from over.
    assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
    assert!(matches!(barrier.pulse(), Pulse::Failed(ArmError::Unavailable(_))));
    let state = barrier.state();
    assert!(state.stopped && !state.pressed && state.presses == 1);
    assert!(!barrier.set_mode(Mode::HeldOpen, Reason::car()));
    barrier.stop();
}

#[test]
fn dropping_lets_go_also_when_a_panic_unwinds() {
    let arm = SimulatedArm::new();
    let theirs = arm.clone();
    let thread = std::thread::spawn(move || {
        let barrier = Barrier::start(Box::new(theirs), &settings(10_000, 10_000));
        barrier.pulse();
        panic!("on purpose");
    });
    assert!(thread.join().is_err());
    assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
}

#[test]
fn an_output_that_never_lets_go_does_not_hold_up_the_stop() {
    let arm = SimulatedArm::new();
    arm.fail_releases(u32::MAX);
    let barrier = Barrier::start(Box::new(arm.clone()), &settings(50, 50));
    barrier.pulse();
    std::thread::sleep(Duration::from_millis(200));
    assert!(barrier.state().stuck);
    barrier.stop();
    let state = barrier.state();
    assert!(state.stuck && state.pressed && state.failures > 1 && state.last_failure.is_some());
}

#[test]
fn an_output_that_panics_is_let_go_and_counts_against_the_gap() {
    struct Panics(SimulatedArm);
    impl Arm for Panics {
        fn press(&mut self) -> Result<(), ArmError> {
            self.0.press().expect("simulated");
            panic!("on purpose");
        }
        fn release(&mut self) -> Result<(), ArmError> {
            self.0.release()
        }
        fn describe(&self) -> String {
            "panics".into()
        }
    }
    let arm = SimulatedArm::new();
    let barrier = Barrier::start(Box::new(Panics(arm.clone())), &settings(50, 60_000));
    assert!(matches!(barrier.pulse(), Pulse::Failed(ArmError::Uncertain(_))));
    assert!(matches!(barrier.pulse(), Pulse::JustPressed));
    barrier.stop();
    assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
}

#[test]
fn many_at_once_press_once() {
    let arm = SimulatedArm::new();
    let barrier = Barrier::start(Box::new(arm.clone()), &settings(50, 5000));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| barrier.pulse());
        }
    });
    assert_eq!(arm.presses(), 1);
}

#[test]
fn the_fire_alarm_is_heard_and_the_closed_gate_obeys_its_people() {
    let arm = SimulatedArm::new();
    let rules = Rules { fire_opens: true, ..Rules::from_config(&settings(50, 50)) };
    let outputs = Outputs { open: Box::new(arm.clone()), close: None };
    let barrier = Barrier::start_with(outputs, rules, [Input::Fire, Input::Presence]);
    let (inputs, notes) = (barrier.inputs(), barrier.listen());
    assert_eq!(inputs.approach().presence, Level::Unknown);
    assert!(barrier.set_mode(Mode::Closed, Reason::person("王伟", "night")));
    assert!(matches!(barrier.pulse(), Pulse::Failed(ArmError::Refused(_))));
    assert!(matches!(barrier.open(Reason::service()), Pulse::Pressed(_)));
    inputs.set(Input::Presence, Level::Active);
    assert_eq!(inputs.approach().presence, Level::Active);
    inputs.set(Input::Passage, Level::Active);
    assert_eq!(inputs.level(Input::Passage), Level::NotWired);
    inputs.set(Input::Fire, Level::Active);
    let next = || notes.recv_timeout(Duration::from_secs(5)).unwrap();
    let pressed = next();
    assert_eq!((pressed.note, pressed.reason), (Note::Pressed, Some(Reason::service())));
    assert_eq!(next().note, Note::HoldBegan { hold: super::super::Hold::Fire });
    assert_eq!(next().reason, Some(Reason::itself("the fire alarm holds the gate open")));
    let begun = Instant::now();
    while arm.presses() < 2 && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(arm.presses(), 2);
    assert_eq!(barrier.state().state, super::super::State::HeldOpen);
    assert!(barrier.is_alive());
}

#[test]
fn a_wire_that_breaks_before_anybody_listens_is_told_to_everybody_who_comes() {
    let outputs = Outputs { open: Box::new(SimulatedArm::new()), close: None };
    let barrier = Barrier::start_with(outputs, Rules::from_config(&settings(50, 50)), [Input::Presence]);
    barrier.inputs().set(Input::Presence, Level::Broken);
    let (first, second) = (barrier.listen(), barrier.listen());
    for notes in [first, second] {
        let noted = notes.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(noted.note, Note::WireBroken { input: Input::Presence });
        assert!(notes.try_recv().is_err(), "once to each");
    }
}
