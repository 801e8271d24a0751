//! `portalwatch baseline list | diff | approve | reject | history | import`

mod choose;
mod text;
mod zone;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use self::choose::{Choice, Fault};
use super::{Answer, ConfigPath, Failure, PlainFormat, print};
use crate::app;
use crate::clock::{Clock as _, SystemClock};
use crate::model::glob::matches;
use crate::model::{Baseline, Baselines, CheckId, Decision};
use crate::plan::PlannedCheck;
use crate::probe::{Standing, Watched};

const DIFFS: &str = "Exit codes: 0 all is as it should be, or nobody said what that is; 2 drift; 3 something could not be measured;\n\
    64 usage error, or nothing matches; 78 bad config; 70 an error of portalwatch's own";

#[derive(Subcommand)]
pub enum BaselineCommand {
    /// Show what is compared, and how each thing stands
    #[command(after_help = super::DONE)]
    List(ListArgs),
    /// Show what is not as it should be, as of the last run of each check
    #[command(after_help = DIFFS)]
    Diff(ListArgs),
    /// Say that things are right as they are
    #[command(after_help = super::DONE)]
    Approve(DecideArgs),
    /// Say that things must not be as they are
    #[command(after_help = super::DONE)]
    Reject(DecideArgs),
    /// Show who decided what, when and why, newest first
    #[command(after_help = super::DONE)]
    History(HistoryArgs),
    /// Approve what a zone file says
    #[command(after_help = super::DONE)]
    Import(ImportArgs),
}

#[derive(Args)]
pub struct ListArgs {
    /// Checks by id, `portal/check`, or short name; `*` and `?` stand for any. Without any: all
    #[arg(value_name = "NAME-GLOB")]
    globs: Vec<String>,
    #[command(flatten)]
    config: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

#[derive(Args)]
pub struct DecideArgs {
    /// Checks by id, `portal/check`, or short name; `*` and `?` stand for any
    #[arg(value_name = "NAME-GLOB")]
    glob: String,
    /// What to decide about, as `baseline list` names it: "www.acme.example A"
    #[arg(value_name = "KEY", required_unless_present = "all", conflicts_with = "all")]
    keys: Vec<String>,
    /// Decide about all that differs or is provisional
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    config: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

#[derive(Args)]
pub struct HistoryArgs {
    /// Checks by id, `portal/check`, or short name; `*` and `?` stand for any. Without any: all
    #[arg(value_name = "NAME-GLOB")]
    globs: Vec<String>,
    /// The most decisions of each check
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    config: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

#[derive(Args)]
pub struct ImportArgs {
    /// The check by its id, `portal/check`, or its short name
    #[arg(value_name = "CHECK")]
    check: String,
    /// The zone file (RFC 1035 section 5)
    #[arg(value_name = "ZONEFILE")]
    file: PathBuf,
    /// The zone, where the file has no $ORIGIN; the check's zone by default
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    config: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

/// Who answers for a decision.
#[derive(Args)]
struct Who {
    /// Who decides; the user of the system by default
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[arg(long, hide = true, env = "SUDO_USER")]
    before_sudo: Option<String>,
    #[arg(long, hide = true, env = "USER")]
    user: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

impl Who {
    fn name(&self) -> Result<String, Failure> {
        let known = [&self.by, &self.before_sudo, &self.user].into_iter().flatten();
        let name = known.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
        name.ok_or_else(|| Failure::usage("nobody knows who decides; say it with --by NAME"))
    }
}

pub async fn baseline(command: BaselineCommand) -> Answer {
    match command {
        BaselineCommand::List(args) => list(&args, false).await,
        BaselineCommand::Diff(args) => list(&args, true).await,
        BaselineCommand::Approve(args) => decide(&args, Decision::Approved).await,
        BaselineCommand::Reject(args) => decide(&args, Decision::Rejected).await,
        BaselineCommand::History(args) => history(&args).await,
        BaselineCommand::Import(args) => import(&args).await,
    }
}

/// One check and all it compares.
struct Compared {
    check: Arc<PlannedCheck>,
    watched: Vec<Watched>,
}

impl Compared {
    fn id(&self) -> &CheckId {
        &self.check.scope.check
    }
}

/// The checks that match and compare anything.
fn checks(globs: &[String], config: &ConfigPath) -> Result<Vec<Arc<PlannedCheck>>, Failure> {
    let wanted = |id: &CheckId| globs.is_empty() || globs.iter().any(|glob| matches(glob, id));
    let plan = app::plan_for_check(&config.config, &wanted).map_err(|faults| Failure::config(&faults))?;
    let some = !plan.checks.is_empty();
    let checks: Vec<_> = plan.checks.into_iter().filter(|check| check.probe.learns()).collect();
    if checks.is_empty() {
        return Err(Failure::usage(match (globs, some) {
            ([], _) => "no check of the config compares anything with what was approved".to_owned(),
            (globs, true) => {
                format!("nothing that matches {} is compared with what was approved", globs.join(" "))
            }
            (globs, false) => format!("no check matches {}", globs.join(" ")),
        }));
    }
    Ok(checks)
}

/// What the matching checks compare, as of their last runs.
async fn compared(
    globs: &[String],
    config: &ConfigPath,
    baselines: &dyn Baselines,
) -> Result<Vec<Compared>, Failure> {
    let checks = checks(globs, config)?;
    let memories: HashMap<_, _> = app::memories(&config.config).await;
    let mut all = Vec::new();
    for check in checks {
        let memory = memories.get(&check.scope.check).unwrap_or(&None);
        let decided = baselines.of(&check.scope.check).await.map_err(|why| Failure::own(why.to_string()))?;
        let watched = check.probe.standings(memory, &decided);
        all.push(Compared { check, watched });
    }
    Ok(all)
}

fn store(config: &ConfigPath) -> Result<Arc<dyn Baselines>, Failure> {
    app::baselines(&config.config).map_err(|faults| Failure::config(&faults))
}

async fn list(args: &ListArgs, differing: bool) -> Answer {
    let mut all = compared(&args.globs, &args.config, &*store(&args.config)?).await?;
    let code = if differing { exit_code(&all) } else { 0 };
    if differing {
        for one in &mut all {
            one.watched.retain(|watched| watched.standing != Standing::Same);
        }
    }
    match args.format {
        PlainFormat::Json => {
            let of =
                |one: &Compared| serde_json::json!({ "check": one.id().as_str(), "watched": one.watched });
            print::json(&all.iter().map(of).collect::<Vec<_>>())?;
        }
        PlainFormat::Text => {
            for one in &all {
                print::out(&text::check(one.id(), &one.watched, differing))?;
            }
        }
    }
    Ok(code)
}

/// Of several the one that asks for more: drift before what could not be measured.
fn exit_code(all: &[Compared]) -> u8 {
    let has = |wanted: &[Standing]| {
        all.iter().flat_map(|one| &one.watched).any(|watched| wanted.contains(&watched.standing))
    };
    if has(&[Standing::Drifted, Standing::Suspected]) {
        2
    } else if has(&[Standing::Unmeasured]) {
        3
    } else {
        0
    }
}

async fn decide(args: &DecideArgs, decision: Decision) -> Answer {
    let baselines = store(&args.config)?;
    let all = compared(std::slice::from_ref(&args.glob), &args.config, &*baselines).await?;
    let by = args.who.name()?;
    let keys = if args.all { None } else { Some(args.keys.as_slice()) };
    let sets: Vec<(&CheckId, &[Watched])> =
        all.iter().map(|one| (one.id(), one.watched.as_slice())).collect();
    let chosen = choose::chosen(&sets, keys, decision).map_err(|faults| usage(&faults))?;
    let at = SystemClock.now();
    for (check, choices) in &chosen {
        let decided: Vec<Baseline> =
            choices.iter().map(|choice| choice.decided(decision, &by, &args.who.why, at)).collect();
        record(&*baselines, check, &decided).await?;
    }
    print_decided(&chosen, decision, args.format)?;
    Ok(0)
}

fn usage(faults: &[Fault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::usage(format!("nothing was decided:\n{}", lines.join("\n")))
}

async fn record(baselines: &dyn Baselines, check: &CheckId, decided: &[Baseline]) -> Result<(), Failure> {
    if decided.is_empty() {
        return Ok(());
    }
    baselines.decide(check, decided).await.map_err(|why| Failure::own(why.to_string()))
}

fn print_decided(
    chosen: &[(CheckId, Vec<Choice>)],
    decision: Decision,
    format: PlainFormat,
) -> Result<(), Failure> {
    match format {
        PlainFormat::Json => {
            let of = |(check, choices): &(CheckId, Vec<Choice>)| serde_json::json!({ "check": check.as_str(), "decision": decision, "decided": choices });
            print::json(&chosen.iter().map(of).collect::<Vec<_>>())
        }
        PlainFormat::Text => {
            for (check, choices) in chosen {
                print::out(&text::decided(check, choices, decision))?;
            }
            Ok(())
        }
    }
}

async fn history(args: &HistoryArgs) -> Answer {
    let baselines = store(&args.config)?;
    let mut all: Vec<(CheckId, Vec<Baseline>)> = Vec::new();
    for check in checks(&args.globs, &args.config)? {
        let check = check.scope.check.clone();
        let decisions = baselines.history(&check, args.limit).await;
        all.push((check, decisions.map_err(|why| Failure::own(why.to_string()))?));
    }
    match args.format {
        PlainFormat::Json => {
            let of = |(check, decisions): &(CheckId, Vec<Baseline>)| serde_json::json!({ "check": check.as_str(), "decisions": decisions });
            print::json(&all.iter().map(of).collect::<Vec<_>>())?;
        }
        PlainFormat::Text => {
            for (check, decisions) in &all {
                print::out(&text::history(check, decisions))?;
            }
        }
    }
    Ok(0)
}

async fn import(args: &ImportArgs) -> Answer {
    let baselines = store(&args.config)?;
    let mut all = compared(std::slice::from_ref(&args.check), &args.config, &*baselines).await?;
    let Some(one) = all.pop().filter(|_| all.is_empty()) else {
        return Err(Failure::usage(format!("{} is more than one check; name one by its id", args.check)));
    };
    let file = zone::read(&args.file)?;
    let zone = one.check.probe.hosts(&one.check.scope).into_iter().next();
    let origin = args.origin.clone().or(zone);
    let found = zone::sets(&args.file, &file, origin.as_deref(), &one.watched)?;
    let by = args.who.name()?;
    let at: Timestamp = SystemClock.now();
    let why = if args.who.why.is_empty() {
        format!("imported from {}", args.file.display())
    } else {
        args.who.why.clone()
    };
    let decided: Vec<Baseline> =
        found.chosen.iter().map(|choice| choice.decided(Decision::Approved, &by, &why, at)).collect();
    record(&*baselines, one.id(), &decided).await?;
    let chosen = [(one.id().clone(), found.chosen)];
    match args.format {
        PlainFormat::Json => {
            let [(check, choices)] = &chosen;
            print::json(
                &serde_json::json!({ "check": check.as_str(), "decision": Decision::Approved, "decided": choices, "not_watched": found.unwatched }),
            )?;
        }
        PlainFormat::Text => {
            print_decided(&chosen, Decision::Approved, args.format)?;
            for line in &found.unwatched {
                print::out(&format!("    not watched: {line}"))?;
            }
            if !found.unwatched.is_empty() {
                print::out("    to watch them, name them under `records` with `learned: true`")?;
            }
        }
    }
    Ok(0)
}
