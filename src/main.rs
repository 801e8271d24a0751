//! The `portalwatch` command.

fn main() -> std::process::ExitCode {
    portalwatch::cli::main()
}
