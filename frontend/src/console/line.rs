//! The text in the line under a terminal.

use pixelrts_shared::machine::{Machine, MachineState};

/// The connection to the serial port of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialPort {
    Connecting,
    Connected,
    /// The page reconnects by itself.
    Lost,
    /// The machine is over; its last output stays.
    Ended,
}

/// `summary` is the machine in one line, which says how it ended.
#[must_use]
pub fn line(machine: Option<&Machine>, summary: &str, port: SerialPort) -> String {
    match (machine.map(|machine| machine.state), port) {
        (Some(state), _) if state.is_over() => format!("{summary} This is its last output."),
        (None, _) | (_, SerialPort::Ended) => "The machine has ended. This is its last output.".to_owned(),
        (Some(MachineState::Stopping), _) => "The machine is stopping.".to_owned(),
        (_, SerialPort::Connecting) => "Connecting".to_owned(),
        (_, SerialPort::Connected) => "Your keys go to the machine. Ctrl+Alt gives them back.".to_owned(),
        (_, SerialPort::Lost) => "The connection is lost. Reconnecting.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::list::tests::machine;

    #[test]
    fn what_became_of_the_machine_counts_more_than_the_connection() {
        let of = |state, port| line(Some(&machine("1", "00", state, None)), "Powered off by itself.", port);
        for port in [SerialPort::Connecting, SerialPort::Connected, SerialPort::Lost, SerialPort::Ended] {
            assert_eq!(of("stopped", port), "Powered off by itself. This is its last output.");
            assert_eq!(line(None, "", port), "The machine has ended. This is its last output.");
        }
        assert_eq!(of("stopping", SerialPort::Lost), "The machine is stopping.");
        assert_eq!(of("running", SerialPort::Lost), "The connection is lost. Reconnecting.");
        assert_eq!(of("running", SerialPort::Ended), "The machine has ended. This is its last output.");
    }
}
