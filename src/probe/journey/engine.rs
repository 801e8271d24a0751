//! The run: steps one after the other, and what they leave for each other.

mod attempt;
mod evidence;
mod made;
mod sign_out;
mod sweep;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use http::HeaderValue;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::Memory;
use super::blocked::blocked;
use super::capture::Form;
use super::facts::{BlockedAt, Facts, Held, Refused, StepFacts, Trouble};
use super::session::Session;
use super::spec::Spec;
use super::step::Step;
use super::template::{IdentityVars, Vars, shown_codes, totp_step};
use crate::model::{Cause, Secret, StepTime, Timings};
use crate::net::{Family, HttpVersion, Line, Origin, Via, waited};
use crate::probe::web::facts::Skipped;
use crate::probe::web::oauth;
use crate::probe::web::walk::foreign_tls;
use crate::probe::{Ctx, Observed, Unmeasured};

/// The length of a window of one-time codes (RFC 6238 section 4.1), in seconds.
const TOTP_WINDOW: u64 = 30;

/// [`super::Journey`]'s look.
///
/// # Errors
/// Our side failed before anything was sent.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>, memory: &Memory) -> Result<Observed<Facts>, Unmeasured> {
    if let Some(held) = held(memory, ctx.at) {
        let swept = sweep::left_over(spec, ctx, ctx.at, "nothing is sent before the time named").await;
        return Ok(observed(Facts { held: Some(held), swept, ..Facts::default() }));
    }
    let Some(portal) = ctx.scope.portal.url.as_ref() else {
        let why = "the portal has no url; give it one".to_owned();
        return Err(Unmeasured { cause: Cause::Config, why });
    };
    let mut run = Run::new(spec, ctx, portal, run_id()?);
    run.go(memory).await;
    Ok(observed(run.finish()))
}

/// What keeps this run from sending anything.
fn held(memory: &Memory, at: Timestamp) -> Option<Held> {
    let stop = memory.stop.as_ref().filter(|stop| stop.until > at)?;
    Some(stop.clone())
}

fn observed(facts: Facts) -> Observed<Facts> {
    let mut timings = Timings::default();
    for (phase, took) in facts.steps.iter().flat_map(|step| step.phases.iter()) {
        timings.add(phase, took);
    }
    let begun = facts.steps.iter().filter(|step| step.requests > 0);
    let times = begun.map(|step| StepTime {
        name: step.name.as_str().into(),
        took: Duration::try_from_secs_f64(step.took).unwrap_or_default(),
    });
    let steps = times.collect();
    let steps_in_order = facts.authorize.iter().chain(&facts.steps);
    let failed = steps_in_order.clone().find(|step| step.trouble.is_some() && !step.optional);
    let transport = failed.is_some_and(|step| matches!(step.trouble, Some(Trouble::Transport(_))));
    let last = failed.or_else(|| facts.steps.iter().rfind(|step| step.status.is_some()));
    Observed { status: last.and_then(|step| step.status), timings, steps, transport, facts }
}

/// Whether the journey goes on.
enum Next {
    /// With the next step.
    On,
    /// It is over; clean-up and sign-out follow.
    Over,
}

/// One journey under way.
struct Run<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    portal: &'a Url,
    /// The first and the last step that sign in.
    signing_in: Option<(usize, usize)>,
    via: Via,
    vars: Vars,
    forms: BTreeMap<Box<str>, Form>,
    links: BTreeMap<Box<str>, Url>,
    session: Session,
    /// One connection for all steps, as a browser keeps one.
    line: Line,
    /// The page that a person would be looking at.
    page: Option<Url>,
    /// What the last request, or a redirect of it, was told of waiting.
    retry_after: Option<HeaderValue>,
    /// Captures that are not kept, and tokens.
    secrets: Vec<Secret>,
    /// Captures marked `keep`.
    kept: Map<String, Value>,
    facts: Facts,
    began: Instant,
    /// When the steps must have ended.
    steps_end: Instant,
    /// When everything must have.
    all_end: Instant,
    /// Until when nobody else touches what this run wrote or sweeps: nothing is sent after it.
    hold: Option<Instant>,
    /// Our own side failed at something that is no step of the journey itself.
    skipped: bool,
    /// Captures marked `keep` that are not in the ledger yet.
    unnoted: bool,
    /// Something of this run stands in the ledger.
    entered: bool,
    /// The first write is entered already.
    entered_ahead: bool,
    /// The ledger said that nothing of an earlier run is open.
    alone: bool,
}

impl<'a> Run<'a> {
    fn new(spec: &'a Spec, ctx: &'a Ctx<'a>, portal: &'a Url, id: String) -> Self {
        let identity = ctx.scope.identity.as_deref();
        let fields = identity.map_or_else(IdentityVars::default, |identity| IdentityVars {
            username: identity.username.as_deref(),
            password: identity.password.as_ref(),
            totp: identity.totp.as_ref(),
            token: identity.token.as_ref(),
        });
        let began = Instant::now();
        let deadline = ctx.scope.deadline;
        // A run that is cut off cleans nothing up, so the journey ends before that.
        let margin = (deadline / 20).min(Duration::from_secs(1));
        let after = spec.cleanup.len() + 2 * usize::from(spec.sign_out.is_some());
        let wanted = ctx.scope.timeout * u32::try_from(after).unwrap_or(u32::MAX);
        let all_end = began + deadline - margin;
        Self {
            spec,
            ctx,
            portal,
            signing_in: spec.signing_in(),
            via: Via {
                origin: Origin::Portal { private: ctx.scope.portal.private },
                resolvers: Arc::clone(&ctx.scope.resolvers),
                tls: Arc::clone(&ctx.scope.tls),
                family: Family::Any,
                connect_to: None,
                proxy: None,
                version: HttpVersion::Auto,
            },
            vars: Vars::new(&id, ctx.at, fields),
            forms: BTreeMap::new(),
            links: BTreeMap::new(),
            session: Session::new(portal, spec.csrf.as_deref().cloned()),
            line: Line::default(),
            page: None,
            retry_after: None,
            secrets: Vec::new(),
            kept: Map::new(),
            facts: Facts { run: id, ..Facts::default() },
            began,
            steps_end: all_end - wanted.min(deadline / 3),
            all_end,
            hold: None,
            skipped: false,
            unnoted: false,
            entered: false,
            entered_ahead: false,
            alone: false,
        }
    }

    /// The wall clock, by the clock that only goes forward.
    fn now(&self) -> Timestamp {
        self.ctx.at.checked_add(self.began.elapsed()).unwrap_or(self.ctx.at)
    }

    /// Whether it is later than `ends`. What the run waited for its turn among our own requests is not
    /// the portal's time.
    fn is_over(&self, ends: Instant) -> bool {
        Instant::now() >= ends + waited()
    }

    async fn go(&mut self, memory: &Memory) {
        if self.authorize().await {
            self.steps(memory).await;
        }
        self.clean_up().await;
        self.note_leftovers().await;
        self.sign_out().await;
    }

    /// Gets the token that every request carries, where the identity has one. Says whether the journey
    /// can begin.
    async fn authorize(&mut self) -> bool {
        let Some(identity) = self.ctx.scope.identity.clone() else { return true };
        if let Some(token) = &identity.token {
            self.session.set_bearer(token.clone());
            self.facts.token_shown = true;
        }
        let Some(grant) = oauth::Grant::of(&identity) else { return true };
        let mut via = self.via.clone();
        if grant.token_url.host() != self.portal.host() {
            via.tls = foreign_tls(&via.tls);
        }
        match oauth::token(grant, via, self.ctx).await {
            Ok(Ok(token)) => {
                self.facts.token_rotated = token.rotated;
                self.session.set_bearer(token.access);
                true
            }
            Ok(Err(refusal)) => {
                self.token_refused(refusal);
                false
            }
            Err(skipped) => {
                self.facts.our_side = Some(skipped);
                false
            }
        }
    }

    fn token_refused(&mut self, refusal: oauth::Refusal) {
        let oauth::Refusal { why, credentials, failure, answer } = refusal;
        let step = "access token".to_owned();
        let answer = answer.as_deref();
        let blocked =
            answer.and_then(|answer| blocked(answer.status, &answer.headers, &answer.body, true, self.now()));
        if let Some(blocked) = blocked {
            self.facts.blocked = Some(BlockedAt::at(&step, blocked));
            return;
        }
        if credentials {
            self.facts.refused = Some(Refused { step, why });
            return;
        }
        let trouble = match (failure, answer) {
            (Some(failure), _) => Trouble::Transport(failure),
            (None, Some(_)) => Trouble::NoToken(why),
            (None, None) => {
                self.facts.our_side = Some(of_the_config(why));
                return;
            }
        };
        self.facts.authorize = Some(StepFacts {
            name: step,
            request: "POST to the token endpoint".to_owned(),
            status: answer.map(|answer| answer.status),
            requests: 1,
            trouble: Some(trouble),
            ..StepFacts::default()
        });
    }

    async fn steps(&mut self, memory: &Memory) {
        let first_write = self.spec.first_write();
        for (index, step) in self.spec.steps.iter().enumerate() {
            if Some(index) == first_write
                && !self.enter_ahead(step).await
                && let Next::Over = self.sweep_leftovers().await
            {
                return;
            }
            if let Next::Over = self.step(step, memory).await {
                return;
            }
        }
    }

    async fn step(&mut self, step: &Step, memory: &Memory) -> Next {
        let mut seen = StepFacts::of(step, "");
        match self.wanted(step) {
            Ok(true) => {}
            Ok(false) => {
                seen.left_out = step.when.as_ref().map(|when| format!("not: {}", when.source()));
                self.facts.steps.push(seen);
                return Next::On;
            }
            Err(why) => {
                seen.trouble = Some(Trouble::NotSent(why));
                return self.note(seen);
            }
        }
        // A write that there is no time for must not be entered either.
        if self.is_over(self.steps_end) {
            seen.trouble = Some(Trouble::OutOfTime);
            return self.note(seen);
        }
        if step.write {
            // What becomes of a write on a connection that just ends would not be known.
            self.line.hang_up();
            let is_ahead = std::mem::take(&mut self.entered_ahead);
            if !is_ahead && !self.enter().await {
                return Next::Over;
            }
            if let Next::Over = self.note_kept().await {
                return Next::Over;
            }
        }
        match self.next_code(step, memory).await {
            Ok(()) => self.repeated(step, &mut seen, self.steps_end).await,
            Err(why) => seen.trouble = Some(Trouble::OurSide(of_the_config(why))),
        }
        let kept = self.note_kept().await;
        match self.note(seen) {
            Next::On => kept,
            Next::Over => Next::Over,
        }
    }

    /// Enters a step of the journey itself into the facts. Says whether the next one is done.
    fn note(&mut self, mut seen: StepFacts) -> Next {
        if let Some(Trouble::NotSent(why)) = &seen.trouble
            && !self.took_anything()
        {
            // Without anything of the portal in it, it is the config's.
            seen.trouble = Some(Trouble::OurSide(of_the_config(format!("{}: {why}", seen.request))));
        }
        if let Some(Trouble::OurSide(skipped)) = &seen.trouble {
            self.facts.our_side = Some(skipped.clone());
        }
        self.facts.blocked = seen.blocked.take();
        let failed = seen.trouble.is_some() && !seen.optional;
        let stop = failed || self.facts.our_side.is_some() || self.facts.blocked.is_some();
        self.facts.steps.push(seen);
        if stop { Next::Over } else { Next::On }
    }

    /// Whether anything that later requests are made of came from the portal, or should have.
    fn took_anything(&self) -> bool {
        let done = self.spec.steps.iter().zip(&self.facts.steps);
        done.into_iter().any(|(step, _)| !step.capture.is_empty())
    }

    fn wanted(&mut self, step: &Step) -> Result<bool, String> {
        self.vars.set_time(self.now());
        step.when.as_ref().map_or(Ok(true), |when| when.holds(&self.vars).map_err(|error| error.to_string()))
    }

    /// Waits for a window whose code was not used yet, where a step shows one: portals refuse a code
    /// that is shown twice (RFC 6238 section 5.2).
    ///
    /// The message if there is no time to wait.
    async fn next_code(&mut self, step: &Step, memory: &Memory) -> Result<(), String> {
        if !step.shown().code {
            return Ok(());
        }
        let used = self.facts.totp_step.or(memory.totp_step);
        let now = self.now();
        if used.is_some_and(|used| totp_step(now) <= used) {
            let seconds = u64::try_from(now.as_second()).unwrap_or_default();
            let next = Instant::now() + Duration::from_secs(TOTP_WINDOW - seconds % TOTP_WINDOW);
            if next >= self.steps_end + waited() {
                return Err(format!(
                    "the one-time code of these {TOTP_WINDOW} seconds is used, and the journey has no time to wait for the next; raise every or deadline"
                ));
            }
            self.line.hang_up();
            sleep_until(next).await;
        }
        self.facts.totp_step = Some(totp_step(self.now()));
        Ok(())
    }

    /// A step as often as it wants to be done.
    async fn repeated(&mut self, step: &Step, seen: &mut StepFacts, ends: Instant) {
        let began = Instant::now();
        let waited_before = waited();
        let (times, until) =
            step.repeat.as_ref().map_or((1, None), |repeat| (repeat.times, repeat.until.as_ref()));
        for turn in 1..=times {
            self.vars.set_repeat(u32::from(turn));
            self.eventually(step, seen, ends).await;
            if seen.trouble.is_some() {
                break;
            }
            let Some(until) = until else { continue };
            match until.holds(&self.vars) {
                Ok(true) => break,
                Ok(false) if turn == times => {
                    let why = format!("{} did not hold after {times} times", until.source());
                    seen.trouble = Some(Trouble::Until(why));
                }
                Ok(false) => {}
                Err(error) => {
                    seen.trouble = Some(Trouble::Until(error.to_string()));
                    break;
                }
            }
        }
        self.vars.unset("repeat");
        let took = began.elapsed().saturating_sub(waited().saturating_sub(waited_before));
        seen.took = took.as_secs_f64();
    }

    /// A step until its expectations hold, where it asks for that.
    async fn eventually(&mut self, step: &Step, seen: &mut StepFacts, ends: Instant) {
        let began = Instant::now();
        loop {
            self.attempt(step, seen, ends).await;
            let (Some(again), Some(trouble)) = (step.eventually, &seen.trouble) else { return };
            let next = Instant::now() + again.every.0;
            let over = next > began + again.within.0 || next >= ends + waited();
            if over || seen.blocked.is_some() || !self.may_change(step, trouble, seen.status) {
                return;
            }
            self.line.hang_up();
            sleep_until(next).await;
        }
    }

    /// Whether the same request might be answered otherwise later, and may be sent again.
    fn may_change(&self, step: &Step, trouble: &Trouble, status: Option<u16>) -> bool {
        let unauthorized = status == Some(401) && (self.facts.token_shown || step.shown().any());
        !unauthorized && !matches!(trouble, Trouble::NotSent(_) | Trouble::OutOfTime | Trouble::OurSide(_))
    }

    /// The facts, without anything that must not be kept.
    fn finish(mut self) -> Facts {
        let mut secrets = self.session.secrets();
        secrets.append(&mut self.secrets);
        let totp = self.ctx.scope.identity.as_ref().and_then(|identity| identity.totp.as_ref());
        if let (Some(totp), Some(window)) = (totp, self.facts.totp_step) {
            let codes = shown_codes(totp.expose(), window).into_iter();
            secrets.extend(codes.map(|code| Secret::new(code, "one-time code")));
        }
        self.facts.mask(&self.ctx.masker.and(&secrets));
        self.facts
    }
}

/// A name that no other run has: 80 random bits in base32, so that it can be searched for.
fn run_id() -> Result<String, Unmeasured> {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| {
        let why = "the system gave no random numbers for the name of the run".to_owned();
        Unmeasured { cause: Cause::Overload, why }
    })?;
    let digit = |byte: &u8| char::from(DIGITS.get(usize::from(byte & 31)).copied().unwrap_or(b'0'));
    Ok(format!("pw-{}", bytes.iter().map(digit).collect::<String>()))
}

/// A fault of the config that only a run can see.
const fn of_the_config(why: String) -> Skipped {
    Skipped { cause: Cause::Config, why, no_route: false }
}

#[cfg(test)]
mod tests;
