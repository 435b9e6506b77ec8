fn main() -> std::process::ExitCode {
    cronium_run::cli::main()
}
