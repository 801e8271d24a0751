//! `portalwatch check`: the matching checks, once, now.

use std::io::IsTerminal as _;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::print::{self, Explained};
use super::{Answer, ConfigPath, Failure, Format, Overrides};
use crate::app;
use crate::model::glob::matches;
use crate::model::{CheckId, Finding, FindingDoc, Outcome, Verdict};
use crate::plan::{Plan, PlannedCheck};
use crate::run::pace::judge_once;
use crate::run::{Surroundings, pass};

/// How many checks run at once.
const AT_ONCE: usize = 64;

#[derive(Args)]
pub struct CheckArgs {
    /// Checks by id, `portal/check`; `*` and `?` do not cross the slash. Without a slash: by the
    /// check's short name. Without any: all
    #[arg(value_name = "NAME-GLOB")]
    globs: Vec<String>,
    #[command(flatten)]
    config: ConfigPath,
    #[command(flatten)]
    overrides: Overrides,
    /// How to print the results
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also run steps that write (journeys); entered in the store's ledger first
    #[arg(long)]
    write: bool,
    /// Also print the settings (masked), the facts, and what each finding means
    #[arg(long)]
    explain: bool,
}

pub async fn check(args: CheckArgs) -> Answer {
    let wanted = |id: &CheckId| args.globs.is_empty() || args.globs.iter().any(|glob| matches(glob, id));
    let mut plan =
        app::plan_for_check(&args.config.config, &wanted).map_err(|faults| Failure::config(&faults))?;
    if plan.checks.is_empty() {
        return Err(Failure::usage(match args.globs.as_slice() {
            [] => "the config has no checks".to_owned(),
            globs => format!("no check matches {}", globs.join(" ")),
        }));
    }
    override_plan(&mut plan, &args.overrides)?;
    let memories = app::memories(&args.config.config).await;
    let ledger = args.write.then(|| app::ledger(&args.config.config)).transpose();
    let ledger = ledger.map_err(|faults| Failure::config(&faults))?;
    let baselines = app::baselines(&args.config.config).map_err(|faults| Failure::config(&faults))?;
    let around = app::surroundings(&plan, ledger.as_ref().map(|ledger| ledger.shared()), baselines);
    let mut pasts = app::pasts(&args.config.config, &plan.checks, around.clock.now()).await;
    let mut outcomes = run_all(&plan.checks, &around, &memories, args.explain).await;
    for outcome in &mut outcomes {
        let check = plan.checks.iter().find(|check| check.scope.check == outcome.check);
        if let Some(check) = check.filter(|check| !check.budgets.is_empty()) {
            judge_once(check, pasts.remove(&outcome.check).unwrap_or_default(), outcome);
        }
    }
    if let Some(ledger) = ledger {
        ledger.close().await;
    }
    let place = |outcome: &Outcome| plan.checks.iter().position(|check| check.scope.check == outcome.check);
    outcomes.sort_by_key(place);
    let explained: Vec<Explained> = if args.explain {
        let shown = app::show_checks(&args.config.config).map_err(|faults| Failure::config(&faults))?;
        let settings = |check: &PlannedCheck| shown.get(&check.scope.check).map_or("", String::as_str);
        let both = plan.checks.iter().zip(&outcomes);
        both.map(|(check, outcome)| explain(check, outcome, settings(check))).collect()
    } else {
        Vec::new()
    };
    print::outcomes(&outcomes, args.format, &explained)?;
    Ok(print::worst(&outcomes).exit_code())
}

/// Puts what the command line says over what the config says.
fn override_plan(plan: &mut Plan, overrides: &Overrides) -> Result<(), Failure> {
    let ca_pem = overrides.ca_pem()?;
    for check in &mut plan.checks {
        let Some(check) = Arc::get_mut(check) else { continue };
        if !overrides.resolver.is_empty() {
            check.scope.resolvers = overrides.resolver.as_slice().into();
        }
        if let Some(timeout) = overrides.timeout {
            check.scope.timeout = timeout;
            check.scope.deadline = check.scope.deadline.max(timeout);
        }
        if let Some(ca_pem) = &ca_pem {
            let mut tls = (*check.scope.tls).clone();
            tls.ca_pem = Some(Arc::clone(ca_pem));
            check.scope.tls = Arc::new(tls);
        }
    }
    Ok(())
}

async fn run_all(
    checks: &[Arc<PlannedCheck>],
    around: &Surroundings,
    memories: &app::Memories,
    everything: bool,
) -> Vec<Outcome> {
    let progress = if std::io::stderr().is_terminal() && checks.len() > 3 {
        indicatif::ProgressBar::new(checks.len() as u64)
    } else {
        indicatif::ProgressBar::hidden()
    };
    let nothing = None;
    let runs = checks.iter().map(|check| {
        let memory = memories.get(&check.scope.check).unwrap_or(&nothing);
        pass(check, memory, around, everything)
    });
    let mut running = futures_util::stream::iter(runs).buffer_unordered(AT_ONCE);
    let mut outcomes = Vec::with_capacity(checks.len());
    while let Some(pass) = running.next().await {
        progress.inc(1);
        outcomes.push(pass.outcome);
    }
    progress.finish_and_clear();
    outcomes
}

/// What `--explain` adds: settings, facts, and each finding's documentation.
fn explain(check: &PlannedCheck, outcome: &Outcome, settings: &str) -> Explained {
    let scope = &check.scope;
    let mut lines = vec![format!(
        "settings: kind {}, every {}, timeout {}, deadline {}, resolvers {}, private {}",
        check.kind,
        crate::model::HumanDuration(check.every),
        crate::model::HumanDuration(scope.timeout),
        crate::model::HumanDuration(scope.deadline),
        scope.resolvers.join(" "),
        scope.portal.private
    )];
    lines.extend(settings.lines().map(|line| format!("    {line}")));
    lines.push(format!("started: {}", started(outcome.at)));
    lines.push("facts:".to_owned());
    lines.extend(facts(check, outcome));
    let docs: Vec<&'static FindingDoc> = outcome
        .findings
        .iter()
        .filter_map(|finding| super::explain::catalogue().find(|doc| doc.id == finding.id.as_str()))
        .collect();
    for (finding, doc) in outcome.findings.iter().zip(&docs) {
        lines.push(format!("{}: {}", finding.id, reference(finding)));
        lines.push(format!("    means: {}", doc.meaning));
        lines.push(format!("    fix:   {}", doc.fix));
    }
    let mut reproduce = Vec::new();
    if !matches!(outcome.verdict, Verdict::Pass) {
        reproduce = check.probe.reproduce(scope);
        lines.push("to reproduce:".to_owned());
        lines.extend(reproduce.iter().map(|line| format!("    {line}")));
    }
    let json = serde_json::json!({
        "settings": settings,
        "findings": docs.into_iter().map(super::explain::as_json).collect::<Vec<_>>(),
        "reproduce": reproduce,
    });
    Explained { lines, json }
}

/// The facts as the kind tells them, else as a list.
fn facts(check: &PlannedCheck, outcome: &Outcome) -> Vec<String> {
    if let Some(told) = outcome.facts.as_ref().and_then(|facts| check.probe.tell(facts)) {
        return told.iter().map(|line| format!("    {}", print::one_line(line))).collect();
    }
    let mut facts = String::new();
    print::facts_of(&mut facts, &print::observation(outcome), 1);
    facts.lines().map(str::to_owned).collect()
}

fn reference(finding: &Finding) -> &str {
    finding.reference.as_deref().unwrap_or("the expectation in the config")
}

fn started(at: Timestamp) -> String {
    at.display_with_offset(jiff::tz::TimeZone::system().to_offset(at)).to_string()
}
