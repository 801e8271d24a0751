//! Delivery as a whole, over a scripted peer and a paused clock.

mod fakes;
mod mail;
mod web;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::fakes::*;
use super::*;
use crate::model::Reason;
use crate::record::tenure::running;

struct Running {
    channels: watch::Sender<Arc<Channels>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    events: mpsc::Receiver<ChannelEvent>,
}

fn hook(name: &str) -> Channel {
    webhook(name, serde_json::json!({ "url": format!("https://{name}/") }))
}

fn deliver(outbox: &Arc<Outbox>, script: &Arc<Script>, clock: Arc<Follows>, channels: Channels) -> Running {
    deliver_as(None, outbox, script, clock, channels)
}

fn deliver_as(
    tenure: Option<Arc<Tenure>>,
    outbox: &Arc<Outbox>,
    script: &Arc<Script>,
    clock: Arc<Follows>,
    channels: Channels,
) -> Running {
    let (sender, events) = mpsc::channel(8);
    let (channels, receiver) = watch::channel(Arc::new(channels));
    let stop = CancellationToken::new();
    let deliver = Deliver {
        store: outbox.clone(),
        clock,
        wire: script.clone(),
        tenure,
        channels: receiver,
        wake: Arc::new(Notify::new()),
        events: sender,
    };
    Running { channels, task: tokio::spawn(deliver.run(stop.clone())), stop, events }
}

/// Lets (paused) time pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_tried_again_under_its_first_key() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 503), (0, 500), (0, 200)])]);
    let running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(60).await;
    assert_eq!(script.ids("a"), ["k1", "k1", "k1"]);
    assert!(matches!(outbox.settled("k1"), Some(Settled::Sent { .. })));
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rows_that_come_later_do_not_change_a_message_that_was_tried() {
    let mut first = row("k1", "a", "acme/home", Reason::Opened);
    first.group_key = "group".into();
    let outbox = Outbox::with(vec![first]);
    let script = Script::new([("a", &[(0, 503), (0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(1).await;
    let mut second = row("k2", "a", "acme/api", Reason::Opened);
    second.group_key = "group".into();
    outbox.add(vec![second]);
    pass(60).await;
    assert_eq!(script.ids("a"), ["k1", "k2", "k1"]);
    let bodies = script.bodies();
    assert_eq!(bodies[0], bodies[2]);
}

#[tokio::test(start_paused = true)]
async fn what_follows_does_not_overtake_an_opening_that_fails() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 503), (0, 503), (0, 503), (0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(1).await;
    outbox.add(vec![row("k2", "a", "acme/home", Reason::Rose)]);
    pass(120).await;
    assert_eq!(script.ids("a"), ["k1", "k1", "k1", "k1", "k2"]);
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_was_refused_until_it_was_over_is_told_by_its_end() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 503), (0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(1).await;
    outbox.add(vec![row("k2", "a", "acme/home", Reason::Resolved)]);
    pass(60).await;
    assert_eq!(script.ids("a"), ["k1", "k2"]);
    assert!(matches!(outbox.settled("k1"), Some(Settled::Collapsed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_slow_channel_does_not_delay_another() {
    let outbox = Outbox::with(vec![
        row("s1", "slow", "acme/home", Reason::Opened),
        row("s2", "slow", "acme/api", Reason::Opened),
        row("q1", "quick", "acme/home", Reason::Opened),
    ]);
    let script = Script::new([("slow", &[(3600, 200)]), ("quick", &[(0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("slow"), hook("quick")]));
    pass(1).await;
    outbox.add(vec![row("q2", "quick", "acme/api", Reason::Opened)]);
    pass(4).await;
    assert_eq!(script.ids("quick"), ["q1", "q2"]);
    assert_eq!(script.ids("slow").len(), 1);
    assert!(outbox.settled("s1").is_none());
}

#[tokio::test(start_paused = true)]
async fn killed_between_sending_and_settling_it_repeats_under_the_same_key() {
    let mut second = row("k2", "a", "acme/api", Reason::Opened);
    second.group_key = "group".into();
    let mut first = row("k1", "a", "acme/home", Reason::Opened);
    first.group_key = "group".into();
    let outbox = Outbox::with(vec![first, second]);
    let clock = Follows::new();
    // The peer has the message at once, and its answer is on the way when the process dies.
    let script = Script::new([("a", &[(10, 200), (0, 200)])]);
    let running = deliver(&outbox, &script, clock.clone(), channels(vec![hook("a")]));
    pass(5).await;
    running.task.abort();
    let _ = running.task.await;
    assert_eq!(script.ids("a"), ["k1"]);
    assert_eq!(outbox.row("k2").batch.as_deref(), Some("k1"));

    // What came meanwhile for the same group must not change the message.
    let mut third = row("k3", "a", "acme/login", Reason::Opened);
    third.group_key = "group".into();
    outbox.add(vec![third]);
    outbox.drop_leases().await.unwrap();
    let _running = deliver(&outbox, &script, clock, channels(vec![hook("a")]));
    pass(60).await;
    assert_eq!(script.ids("a"), ["k1", "k1", "k3"]);
    let bodies = script.bodies();
    assert_eq!(bodies[0], bodies[1]);
    assert!(matches!(outbox.settled("k2"), Some(Settled::Sent { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_keeps_failing_is_reported_once_and_again_when_it_works() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 503), (0, 503), (0, 503), (0, 503), (0, 503), (0, 200)])]);
    let mut running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(11).await;
    assert!(running.events.try_recv().is_err(), "two failures are no trend");
    pass(600).await;
    let failing = ChannelEvent::Failing { channel: "a".into(), why: "HTTP 503".into() };
    assert_eq!(running.events.try_recv(), Ok(failing));
    assert_eq!(running.events.try_recv(), Ok(ChannelEvent::Working { channel: "a".into() }));
    assert!(running.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_delivered_is_given_up_after_a_day() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 503)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(86_000).await;
    assert!(outbox.settled("k1").is_none(), "given up too early");
    pass(1_500).await;
    assert!(matches!(outbox.settled("k1"), Some(Settled::Dead { why, .. }) if why.contains("24 h")));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_repeated() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 422)])]);
    let mut running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(60).await;
    let failing = ChannelEvent::Failing { channel: "a".into(), why: "HTTP 422".into() };
    assert_eq!(running.events.try_recv(), Ok(failing), "what is lost is told");
    assert_eq!(script.ids("a").len(), 1);
    assert!(matches!(outbox.settled("k1"), Some(Settled::Dead { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_the_rate_waits_and_is_told() {
    let rows =
        (0..5).map(|number| row(&format!("k{number}"), "a", &format!("acme/c{number}"), Reason::Opened));
    let outbox = Outbox::with(rows.collect());
    let script = Script::new([("a", &[(0, 200)])]);
    let mut channel = hook("a");
    channel.per_minute = 2;
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![channel]));
    pass(30).await;
    assert_eq!(script.ids("a").len(), 2);
    pass(120).await;
    assert_eq!(script.ids("a").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_removed_channel_does_not_wait_for_ever() {
    let outbox = Outbox::with(vec![row("k1", "gone", "acme/home", Reason::Opened)]);
    let script = Script::new([]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(5).await;
    assert!(matches!(outbox.settled("k1"), Some(Settled::Dead { why, .. }) if why.contains("gone")));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_is_over_before_it_was_told_is_told_once() {
    let outbox = Outbox::with(vec![
        row("k1", "a", "acme/home", Reason::Opened),
        row("k2", "a", "acme/home", Reason::Resolved),
    ]);
    let script = Script::new([("a", &[(0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(60).await;
    assert_eq!(script.ids("a"), ["k2"]);
    assert!(matches!(outbox.settled("k1"), Some(Settled::Collapsed { into, .. }) if into == "k2"));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_refused_keeps_its_note_and_what_it_stands_for_ends_with_it() {
    let outbox = Outbox::with(vec![
        row("k#1:a", "a", "acme/home", Reason::Opened),
        row("k#2:a", "a", "acme/home", Reason::Resolved),
    ]);
    let script = Script::new([("a", &[(0, 503), (0, 503), (0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(3).await;
    assert!(outbox.settled("k#1:a").is_none(), "nobody was told yet");
    pass(60).await;
    assert_eq!(script.ids("a"), ["k#2:a", "k#2:a", "k#2:a"]);
    let bodies = script.bodies();
    assert_eq!((&bodies[0], &bodies[1]), (&bodies[2], &bodies[2]));
    assert!(matches!(outbox.settled("k#1:a"), Some(Settled::Collapsed { into, .. }) if into == "k#2:a"));
}

#[tokio::test(start_paused = true)]
async fn an_opening_of_which_no_answer_came_is_sent_again_before_its_end() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    // Refused, then taken without an answer, then refused: it may have arrived.
    let script = Script::new([("a", &[(0, 503), (3600, 200), (0, 503), (0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(32).await;
    outbox.add(vec![row("k2", "a", "acme/home", Reason::Resolved)]);
    pass(300).await;
    assert_eq!(script.ids("a"), ["k1", "k1", "k1", "k1", "k2"]);
    assert!(matches!(outbox.settled("k1"), Some(Settled::Sent { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_busy_channel_is_not_written_over_and_over() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(20, 200), (0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(1).await;
    outbox.add(vec![row("k2", "a", "acme/api", Reason::Opened)]);
    pass(15).await;
    let before = outbox.writes.load(Ordering::Relaxed);
    pass(3).await;
    assert_eq!(outbox.writes.load(Ordering::Relaxed), before);
    pass(10).await;
    assert_eq!(script.ids("a"), ["k1", "k2"]);
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_the_config_leaves_in_a_message() {
    let mut planted = row("k1", "a", "acme/home", Reason::Opened);
    planted.notice.incident.findings[0].summary = "token hunter2-secret refused".into();
    planted.notice.reproduce = vec!["curl -H 'authorization: hunter2-secret'".into()];
    let outbox = Outbox::with(vec![planted]);
    let script = Script::new([("a", &[(0, 200)])]);
    let mut all = channels(vec![hook("a")]);
    all.masker = Masker::new([&crate::model::Secret::new("hunter2-secret", "env:TOKEN")]);
    let _running = deliver(&outbox, &script, Follows::new(), all);
    pass(5).await;
    let body = script.bodies().remove(0);
    assert!(!body.contains("hunter2"), "{body}");
    assert!(body.contains("<env:TOKEN>"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_where_a_waiting_message_goes() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 401)]), ("b", &[(0, 200)])]);
    let running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(1).await;
    let mended = webhook("a", serde_json::json!({ "url": "https://b/" }));
    running.channels.send(Arc::new(channels(vec![mended]))).unwrap();
    pass(30).await;
    assert_eq!(script.ids("b"), ["k1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_message_in_the_air_and_starts_no_other() {
    let outbox = Outbox::with(vec![
        row("k1", "a", "acme/home", Reason::Opened),
        row("k2", "a", "acme/api", Reason::Opened),
    ]);
    let script = Script::new([("a", &[(4, 200)])]);
    let running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(1).await;
    running.stop.cancel();
    running.task.await.unwrap();
    assert!(matches!(outbox.settled("k1"), Some(Settled::Sent { .. })));
    assert_eq!(script.ids("a"), ["k1"]);
    assert!(outbox.settled("k2").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_backlog_outlasts_the_lease_without_a_second_copy() {
    let rows =
        (0..6).map(|number| row(&format!("k{number}"), "a", &format!("acme/c{number}"), Reason::Opened));
    let outbox = Outbox::with(rows.collect());
    let script = Script::new([("a", &[(20, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(300).await;
    let mut ids = script.ids("a");
    ids.sort();
    assert_eq!(ids, ["k0", "k1", "k2", "k3", "k4", "k5"]);
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_group_become_one_message() {
    let rows = (0..3).map(|number| {
        let mut row = row(&format!("k{number}"), "a", &format!("acme/c{number}"), Reason::Opened);
        row.group_key = "group".into();
        row
    });
    let outbox = Outbox::with(rows.collect());
    let script = Script::new([("a", &[(0, 200)])]);
    let _running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(5).await;
    assert_eq!(script.ids("a"), ["k0"]);
    assert!(matches!(outbox.settled("k2"), Some(Settled::Sent { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_failed_before_the_start_is_told_to_work() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 200)])]);
    let mut running = deliver(&outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(5).await;
    assert_eq!(running.events.try_recv(), Ok(ChannelEvent::Working { channel: "a".into() }));
    assert!(running.events.try_recv().is_err(), "once");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_may_have_been_replaced_sends_nothing_until_it_is_sure_again() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(0, 200)])]);
    let tenure = Arc::new(Tenure::new(1, running()));
    let mut daemon =
        deliver_as(Some(Arc::clone(&tenure)), &outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(90).await;
    assert!(outbox.row("k1").unsure, "it was marked");
    assert!(script.ids("a").is_empty() && outbox.settled("k1").is_none());
    assert!(daemon.events.try_recv().is_err(), "it says nothing about the channel");
    tenure.extend(running() + Duration::from_secs(3_600));
    pass(60).await;
    assert_eq!(script.ids("a"), ["k1"]);
    assert!(matches!(outbox.settled("k1"), Some(Settled::Sent { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_replaced_while_it_sends_says_nothing_of_the_answer() {
    let outbox = Outbox::with(vec![row("k1", "a", "acme/home", Reason::Opened)]);
    let script = Script::new([("a", &[(10, 200)])]);
    let tenure = Arc::new(Tenure::new(1, running() + Duration::from_secs(3_600)));
    let _running =
        deliver_as(Some(Arc::clone(&tenure)), &outbox, &script, Follows::new(), channels(vec![hook("a")]));
    pass(5).await;
    assert_eq!(script.ids("a"), ["k1"]);
    tenure.lose("another one".into());
    pass(10).await;
    assert!(outbox.settled("k1").is_none(), "the other one's to settle");
}
