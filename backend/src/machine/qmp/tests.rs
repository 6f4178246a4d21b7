use super::*;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

const GREETING: &str =
    r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}"#;

/// A QEMU that says these lines and closes.
async fn qemu(lines: &[&str]) -> Result<Qmp, QmpError> {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(format!("{}\n", lines.join("\r\n")).as_bytes()).await.unwrap();
    let qmp = Qmp::connect(near, Duration::from_secs(5)).await;
    // Closing with something unread would be a reset, not an end.
    let mut asked = [0; 64];
    assert!(far.read(&mut asked).await.unwrap() > 0);
    qmp
}

#[tokio::test]
async fn events_of_a_machine_are_understood_in_order() {
    let mut qmp = qemu(&[
        GREETING,
        r#"{"return": {}}"#,
        r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}"#,
        r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}"#,
        r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "NIC_RX_FILTER_CHANGED", "data": {"path": "x"}}"#,
        r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "GUEST_PANICKED", "data": {"action": "pause"}}"#,
        r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#,
    ])
    .await
    .unwrap();
    let mut events = Vec::new();
    while let Some(event) = qmp.event().await.unwrap() {
        events.push(event);
    }
    let shutdown = Shutdown { guest: true, reason: "guest-reset".to_owned() };
    let expected = [Event::Stop, Event::Resume, Event::Other, Event::GuestPanicked, Event::Shutdown(shutdown)];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn events_before_an_answer_are_kept() {
    let mut qmp = qemu(&[GREETING, r#"{"event": "RESUME"}"#, r#"{"return": {}}"#]).await.unwrap();
    assert_eq!(qmp.event().await.unwrap(), Some(Event::Resume));
    assert_eq!(qmp.event().await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_and_an_end_are_errors() {
    let refused = qemu(&[GREETING, r#"{"error": {"class": "CommandNotFound", "desc": "no such"}}"#]).await;
    assert!(matches!(refused, Err(QmpError::Refused { reason, .. }) if reason == "no such"));
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    assert!(Qmp::connect(near, Duration::from_secs(5)).await.is_err());
}

#[tokio::test]
async fn silence_has_a_deadline() {
    let (near, _far) = UnixStream::pair().unwrap();
    let silent = Qmp::connect(near, Duration::from_millis(1)).await;
    assert!(matches!(silent, Err(QmpError::Silent { command: "qmp_capabilities", .. })));
}

proptest! {
    #[test]
    fn no_line_panics(line in "\\PC*") {
        let _ = serde_json::from_str::<Message>(&line);
    }
}
