//! The address of a running Davy, as an argument of the commands that query one.

/// The running Davy to query.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Server {
    /// Address of the running Davy
    #[arg(
        long,
        env = "DAVY_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) server: String,
    /// Bearer token for the server
    #[arg(long, env = "DAVY_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}
