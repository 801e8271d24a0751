//! The way out, and the proof that the session is dead after it.

use super::Run;
use super::attempt::{aside, trouble};
use crate::probe::journey::facts::{SignedOut, StepFacts, Trouble};
use crate::probe::journey::html::looks_like_login;
use crate::probe::journey::step::Step;
use crate::probe::web::walk::End;
use crate::probe::web::words;

impl Run<'_> {
    /// Signs out, and shows the old cookies and token to a page that only a session opens.
    pub(super) async fn sign_out(&mut self) {
        let spec = self.spec;
        let Some(sign_out) = spec.sign_out.as_deref().filter(|_| self.is_signed_in()) else { return };
        let step = &sign_out.step;
        let old = self.session.clone();
        let mut seen = StepFacts::of(step, "sign out");
        self.repeated(step, &mut seen, self.all_end).await;
        let mut signed_out = SignedOut { step: seen, still_opens: None, unproven: None };
        if signed_out.step.trouble.is_some() {
            signed_out.unproven = Some("the sign-out itself failed".to_owned());
        } else if let Some(page) = spec.replayed() {
            // What the way out has set belongs to the session that is left now.
            let left = std::mem::replace(&mut self.session, old);
            self.secrets.extend(left.secrets());
            match self.still_opens(page).await {
                Ok(status) => signed_out.still_opens = status.map(|status| (page.written(), status)),
                Err(why) => signed_out.unproven = Some(why),
            }
        }
        self.facts.sign_out = Some(signed_out);
    }

    /// All steps that sign in went well.
    fn is_signed_in(&self) -> bool {
        let last = self.signing_in.map_or(0, |(_, last)| last);
        let seen = self.facts.steps.get(..=last);
        let stopped = self.facts.our_side.is_some() || self.facts.blocked.is_some();
        !stopped && seen.is_some_and(|seen| seen.iter().all(|step| step.trouble.is_none()))
    }

    /// Whether the session opens a page: gets the page itself, not the way to the sign-in. The status,
    /// if so.
    ///
    /// Why it is not known otherwise.
    async fn still_opens(&mut self, page: &Step) -> Result<Option<u16>, String> {
        let rendered = self.render(page)?;
        let expect = page.expect.fill(&self.vars).map_err(|error| error.to_string())?.into_owned();
        let asked = rendered.url.clone();
        let walked = self.send(page, rendered, &expect, self.all_end).await;
        match walked.end {
            End::Answer(response) if response.status == 429 || response.status >= 500 => {
                Err(format!("{} answered {}", page.written(), response.status))
            }
            End::Answer(response) => aside(response.body.len(), || {
                let there = walked.url.origin() == asked.origin() && walked.url.path() == asked.path();
                let opens = there && !looks_like_login(&response.body);
                match trouble(&expect, &walked.url, &response).filter(|_| opens) {
                    None => Ok(opens.then_some(response.status)),
                    Some(Trouble::Transport(failure)) => Err(words::failure(&failure, Some(response.status))),
                    Some(_) => Ok(None),
                }
            }),
            End::Astray(..) => Ok(None),
            End::Failed(failure) => Err(words::failure(&failure, None)),
            End::Skipped(skipped) => Err(skipped.why),
        }
    }
}
