//! `portalwatch completions SHELL`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Answer, Cli};

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub fn completions(args: &CompletionsArgs) -> Answer {
    clap_complete::generate(args.shell, &mut Cli::command(), "portalwatch", &mut std::io::stdout());
    Ok(0)
}
