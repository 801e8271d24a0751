//! What the tests of delivery play with: an outbox, a clock that follows tokio's, sockets, and
//! channels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::clock::Clock;
use crate::model::*;
use crate::net::TlsOptions;
use crate::notify::deliver::{Broken, Call, Channel, Channels, Dialed, Reply, Wire};
use crate::notify::registry::ChannelType;
use crate::notify::webhook::Webhook;
use crate::record::*;

/// 2026-11-24 12:00:00 UTC
pub fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// The wall clock that follows tokio's (paused) clock.
pub struct Follows(tokio::time::Instant);

impl Follows {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for Follows {
    fn now(&self) -> Timestamp {
        start().checked_add(self.0.elapsed()).unwrap()
    }
}

pub struct Stored {
    pub row: OutboxRow,
    pub leased: Option<Timestamp>,
    pub settled: Option<Settled>,
}

/// An outbox in memory; leases hold against everyone, as those of another process do.
#[derive(Default)]
pub struct Outbox {
    pub rows: Mutex<Vec<Stored>>,
    /// Claims that found something, marks and settlements.
    pub writes: AtomicUsize,
}

impl Outbox {
    pub fn with(rows: Vec<OutboxRow>) -> Arc<Self> {
        let outbox = Self::default();
        outbox.add(rows);
        Arc::new(outbox)
    }

    pub fn add(&self, rows: Vec<OutboxRow>) {
        self.rows.lock().unwrap().extend(rows.into_iter().map(|row| Stored {
            row,
            leased: None,
            settled: None,
        }));
    }

    pub fn settled(&self, key: &str) -> Option<Settled> {
        self.rows.lock().unwrap().iter().find(|stored| stored.row.key == key).unwrap().settled.clone()
    }

    pub fn row(&self, key: &str) -> OutboxRow {
        self.rows.lock().unwrap().iter().find(|stored| stored.row.key == key).unwrap().row.clone()
    }
}

impl Store for Outbox {
    fn claim(&self, now: Timestamp, lease: Duration) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        let mut rows = self.rows.lock().unwrap();
        let line = |row: &OutboxRow| (row.channel.clone(), row.incident.clone());
        let free =
            |stored: &&Stored| stored.settled.is_none() && stored.leased.is_none_or(|until| until <= now);
        let due: Vec<_> = rows
            .iter()
            .filter(free)
            .filter(|stored| stored.row.not_before <= now)
            .map(|stored| line(&stored.row))
            .collect();
        let mut claimed = Vec::new();
        for stored in rows.iter_mut() {
            if free(&&*stored) && due.contains(&line(&stored.row)) {
                stored.leased = Some(now.checked_add(lease).unwrap());
                claimed.push(Claimed { row: stored.row.clone(), group_sent: None });
            }
        }
        self.writes.fetch_add(usize::from(!claimed.is_empty()), Ordering::Relaxed);
        async move { Ok(claimed) }.boxed()
    }

    fn mark<'a>(&'a self, batch: &'a str, keys: &'a [String]) -> BoxFuture<'a, Result<(), StoreError>> {
        for stored in self.rows.lock().unwrap().iter_mut().filter(|stored| keys.contains(&stored.row.key)) {
            stored.row.batch = Some(batch.to_owned());
            stored.row.unsure = true;
        }
        async { Ok(()) }.boxed()
    }

    fn settle<'a>(&'a self, settled: &'a [Settled]) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut rows = self.rows.lock().unwrap();
        self.writes.fetch_add(1, Ordering::Relaxed);
        for one in settled {
            let (Settled::Sent { key, .. }
            | Settled::Later { key, .. }
            | Settled::Dead { key, .. }
            | Settled::Collapsed { key, .. }) = one;
            let stored = rows.iter_mut().find(|stored| stored.row.key == *key).unwrap();
            stored.leased = None;
            if let Settled::Later { not_before, attempts, batch, unsure, .. } = one {
                stored.row.unsure = *unsure;
                stored.row.not_before = *not_before;
                stored.row.attempts = *attempts;
                stored.row.batch.clone_from(batch);
            } else {
                stored.settled = Some(one.clone());
            }
        }
        async { Ok(()) }.boxed()
    }

    fn drop_leases(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.rows.lock().unwrap().iter_mut().for_each(|stored| stored.leased = None);
        async { Ok(()) }.boxed()
    }

    fn pending(&self) -> BoxFuture<'_, Result<(u64, Option<Timestamp>), StoreError>> {
        async { Ok((0, None)) }.boxed()
    }

    fn commit<'a>(&'a self, _: &'a [Transition]) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn resume(&self) -> BoxFuture<'_, Result<Vec<Resumed>, StoreError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn open_incidents(&self) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn incidents(&self, _: Timestamp, _: Timestamp) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn history<'a>(
        &'a self,
        _: &'a CheckId,
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> BoxFuture<'a, Result<Vec<ResultRow>, StoreError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn last_facts<'a>(
        &'a self,
        _: &'a CheckId,
    ) -> BoxFuture<'a, Result<Option<(Timestamp, Box<RawValue>)>, StoreError>> {
        async { Ok(None) }.boxed()
    }

    fn prune<'a>(&'a self, _: &'a Cutoffs) -> BoxFuture<'a, Result<u64, StoreError>> {
        async { Ok(0) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// One request as a scripted peer saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub host: String,
    pub id: String,
    pub body: String,
}

/// Answers requests by host: `(seconds until the answer, status)`, the last one for ever.
pub struct Script {
    pub answers: Mutex<BTreeMap<&'static str, Vec<(u64, u16)>>>,
    pub seen: Mutex<Vec<Seen>>,
}

impl Script {
    pub fn new<const N: usize>(answers: [(&'static str, &[(u64, u16)]); N]) -> Arc<Self> {
        let answers = answers.into_iter().map(|(host, list)| (host, list.to_vec())).collect();
        Arc::new(Self { answers: Mutex::new(answers), seen: Mutex::default() })
    }

    pub fn ids(&self, host: &str) -> Vec<String> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.host == host)
            .map(|seen| seen.id.clone())
            .collect()
    }

    pub fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.body.clone()).collect()
    }
}

impl Wire for Script {
    fn dial<'a>(&'a self, _: &'a str, _: u16, _: Duration) -> BoxFuture<'a, Result<Dialed, String>> {
        async { Err("no sockets here".to_owned()) }.boxed()
    }

    fn exchange(&self, call: Call) -> BoxFuture<'_, Result<Reply, Broken>> {
        let host = call.url.host_str().unwrap().to_owned();
        let id = call.headers["webhook-id"].to_str().unwrap().to_owned();
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        let (wait, status) = {
            let mut answers = self.answers.lock().unwrap();
            let list = answers.get_mut(host.as_str()).unwrap();
            if list.len() > 1 { list.remove(0) } else { list[0] }
        };
        self.seen.lock().unwrap().push(Seen { host, id, body });
        async move {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            Ok(Reply { status, headers: http::HeaderMap::new(), body: bytes::Bytes::new() })
        }
        .boxed()
    }
}

/// Real sockets on loopback, HTTP in its plainest form.
pub struct Loopback;

impl Wire for Loopback {
    #[expect(clippy::disallowed_methods, reason = "a test's own socket, to loopback")]
    fn dial<'a>(&'a self, host: &'a str, port: u16, _: Duration) -> BoxFuture<'a, Result<Dialed, String>> {
        async move {
            let stream =
                tokio::net::TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
            Ok(Dialed { stream, permit: Box::new(()) })
        }
        .boxed()
    }

    fn exchange(&self, call: Call) -> BoxFuture<'_, Result<Reply, Broken>> {
        let broken = |why: String| Broken { why, sent: true };
        async move {
            let (host, port) = (call.url.host_str().unwrap(), call.url.port().unwrap());
            let mut stream = self.dial(host, port, call.timeout).await.map_err(broken)?.stream;
            let mut request = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", call.method, call.url.path());
            for (name, value) in &call.headers {
                request += &format!("{name}: {}\r\n", value.to_str().unwrap());
            }
            request += &format!("content-length: {}\r\n\r\n", call.body.len());
            stream.write_all(request.as_bytes()).await.map_err(|error| broken(error.to_string()))?;
            stream.write_all(&call.body).await.map_err(|error| broken(error.to_string()))?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map_err(|error| broken(error.to_string()))?;
            let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| broken("no head".into()))?;
            let mut headers = http::HeaderMap::new();
            for line in head.lines().skip(1) {
                let (name, value) = line.split_once(": ").unwrap();
                headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
            }
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            Ok(Reply { status, headers, body: body.to_owned().into() })
        }
        .boxed()
    }
}

pub fn webhook(name: &str, settings: serde_json::Value) -> Channel {
    let settings = serde_json::from_value(settings).unwrap();
    let notifier = Webhook::build(settings).unwrap_or_else(|problems| panic!("{problems:?}"));
    Channel {
        name: name.to_owned(),
        kind: "webhook",
        notifier: Arc::new(notifier),
        fallback: None,
        tls: Arc::new(TlsOptions::default()),
        per_minute: 30,
    }
}

pub fn channels(list: Vec<Channel>) -> Channels {
    Channels {
        by_name: list.into_iter().map(|channel| (channel.name.clone(), channel)).collect(),
        external_url: "https://status.acme.example".into(),
        timezone: jiff::tz::TimeZone::UTC,
        masker: Masker::default(),
    }
}

pub fn incident(check: &str) -> Incident {
    let check = CheckId::from(check);
    let started = start();
    Incident {
        id: IncidentId::new(&check, started),
        check,
        kind: "http".into(),
        labels: Labels::new(),
        alertname: "http.status".into(),
        severity: Severity::Critical,
        started,
        opened: started,
        last_good: None,
        findings: vec![Finding {
            id: "http.status".into(),
            subject: "https://portal.acme.example/".into(),
            severity: Severity::Critical,
            broken: true,
            measured: true,
            summary: "answered 502".into(),
            evidence: serde_json::Map::new(),
            reference: None,
        }],
        worst: None,
        ended: None,
        closed: None,
        flapping: false,
        not_recorded: false,
    }
}

pub fn row(key: &str, channel: &str, check: &str, reason: Reason) -> OutboxRow {
    let mut incident = incident(check);
    if reason == Reason::Resolved {
        incident.ended = Some(start());
    }
    OutboxRow {
        key: key.into(),
        channel: channel.into(),
        group_key: format!("{channel}/{check}"),
        group_labels: Labels::new(),
        incident: incident.id.clone(),
        not_before: start(),
        paced: None,
        notice: Notice {
            reason,
            incident,
            severity_before: None,
            at: start(),
            confirmed: "3/3".into(),
            reproduce: Vec::new(),
            collapsed: false,
        },
        attempts: 0,
        batch: None,
        unsure: false,
        root: None,
    }
}
