//! Over UDP.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Sent;
use crate::formats::dns::Message;
use crate::model::{Phase, Timings};
use crate::net::dial::{connect_fault, datagrams};
use crate::net::error::Fault;

/// After so long without an answer the question is sent again, and then after twice the time: a lost
/// packet is no dead server.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest datagram there is.
const LONGEST: usize = 65_535;

pub(super) async fn ask(sent: &Sent<'_>, timings: &mut Timings) -> Result<Message, Fault> {
    let server = sent.asked.server;
    let socket = datagrams(server, sent.asked.origin).await?;
    let started = Instant::now();
    let answer = exchange(sent, &socket, started).await;
    timings.add(Phase::Ttfb, started.elapsed());
    answer
}

async fn exchange(sent: &Sent<'_>, socket: &UdpSocket, started: Instant) -> Result<Message, Fault> {
    let fault = |error: std::io::Error| connect_fault(sent.asked.server, &error);
    let wire = sent.wire();
    let mut buffer = vec![0; LONGEST];
    // Within a short timeout there has to be room for a second try.
    let mut wait = FIRST_WAIT.min(sent.deadline.saturating_duration_since(started) / 3);
    let mut strays = 0;
    loop {
        socket.send(&wire).await.map_err(fault)?;
        let again = sent.deadline.min(Instant::now() + wait);
        // A flood of strays would let the timer wait.
        while Instant::now() < again
            && let Ok(received) = timeout_at(again, socket.recv(&mut buffer)).await
        {
            let length = received.map_err(fault)?;
            match sent.answer(buffer.get(..length).unwrap_or_default()) {
                Some(message) => return Ok(message),
                None => strays += 1,
            }
        }
        if again >= sent.deadline {
            return Err(sent.timed_out(strays));
        }
        wait *= 2;
    }
}
