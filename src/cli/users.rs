//! `plategate users`: who may sign in to the page, on the command line of the box.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::{Usage, print_bytes};
use crate::accounts::{Accounts, Role, code};
use crate::config::Config;
use crate::register::Register;
use crate::store::Store;

/// The people who may sign in to the page, and tokens for programs. The gate must be stopped for it.
#[derive(clap::Args)]
pub struct Args {
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Everybody, with their roles.
    List {
        /// One JSON object a person.
        #[arg(long)]
        json: bool,
    },
    /// Let somebody in; prints a password by chance.
    Add {
        /// The name they sign in with.
        name: String,
        /// What they may do; may be given several times.
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
        /// Read the password from standard input, one line, instead of making one.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set a new password, for who forgot theirs.
    Password {
        /// Whose.
        name: String,
        /// Read the password from standard input, one line, instead of making one.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set the roles.
    Roles {
        /// Whose.
        name: String,
        /// What they may do; may be given several times.
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
    },
    /// Keep somebody out. Nobody is deleted: the records name them.
    Disable {
        /// Whom.
        name: String,
    },
    /// Let somebody in again.
    Enable {
        /// Whom.
        name: String,
    },
    /// Invite a resident of a household to sign in and give passes to their own visitors; prints a code that serves once.
    Invite {
        /// The household, such as 2-301.
        household: String,
    },
    /// Turn the second factor off, for who lost their telephone.
    ClearSecond {
        /// Whose.
        name: String,
    },
    /// Make a token for a program; printed once.
    Token {
        /// The user it acts for.
        name: String,
        /// What it is for.
        #[arg(long, default_value = "command line")]
        label: String,
        /// How long it serves, days.
        #[arg(long, default_value = "90", value_parser = clap::value_parser!(u32).range(1..=730))]
        days: u32,
    },
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.data.unwrap_or(config.data.folder);
    let store = Arc::new(Store::open(&folder)?);
    let accounts = Accounts::open(store.clone())?;
    let note = |what: &str, about: &str| accounts.audit.add_of("command line", what, about, "", None);
    let known = |name: &str| accounts.user(name)?.ok_or_else(|| anyhow::anyhow!("there is no user {name}"));
    match args.action {
        Action::List { json } => return list(&accounts, json),
        Action::Add { name, roles, password_stdin } => {
            let (password, told) = password(password_stdin)?;
            let user = accounts.add(&name, &password, &roles).map_err(|e| Usage(e.to_string()))?;
            note("添加用户", &user.name)?;
            tell(told)?;
        }
        Action::Password { name, password_stdin } => {
            let (password, told) = password(password_stdin)?;
            known(&name)?;
            accounts.set_password(&name, &password)?;
            note("重设密码", &name)?;
            tell(told)?;
        }
        Action::Roles { name, roles } => {
            let disabled = known(&name)?.disabled;
            accounts.set_roles(&name, &roles, disabled)?;
            note("修改用户", &name)?;
        }
        Action::Disable { name } => {
            known(&name)?;
            set_disabled(&accounts, &name, true)?;
        }
        Action::Enable { name } => {
            known(&name)?;
            set_disabled(&accounts, &name, false)?;
        }
        Action::Invite { household } => {
            anyhow::ensure!(
                Register::open(store.clone())?.household(&household)?.is_some(),
                "there is no household {household}: register its car first (plategate plates add)"
            );
            let (_, code) = accounts.invitations.make(&household, "command line", config.residents.invitation_days)?;
            note("邀请住户", &household)?;
            tell(Some(code))?;
        }
        Action::ClearSecond { name } => {
            known(&name)?;
            accounts.clear_second(&name)?;
            note("取消他人两步验证", &name)?;
        }
        Action::Token { name, label, days } => {
            if known(&name)?.is_resident() {
                anyhow::bail!("{name} is a resident: tokens act for those who run the gate");
            }
            let (token, secret) = accounts.tokens.make(&name, &label, days)?;
            note("发令牌", &format!("{} ({name})", token.label))?;
            tell(Some(secret))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn set_disabled(accounts: &Accounts, name: &str, disabled: bool) -> anyhow::Result<()> {
    let roles: Vec<Role> = accounts.user(name)?.map(|u| u.roles.into_iter().collect()).unwrap_or_default();
    accounts.set_roles(name, &roles, disabled)?;
    let about = format!("{name}{}", if disabled { " 停用" } else { "" });
    accounts.audit.add_of("command line", "修改用户", &about, "", None)?;
    Ok(())
}

/// A password, and what is to be printed of it.
fn password(from_stdin: bool) -> anyhow::Result<(String, Option<String>)> {
    if !from_stdin {
        let password = code::for_people();
        return Ok((password.clone(), Some(password)));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), None))
}

fn tell(line: Option<String>) -> anyhow::Result<()> {
    if let Some(line) = line {
        print_bytes(format!("{line}\n").as_bytes())?;
    }
    Ok(())
}

fn list(accounts: &Accounts, json: bool) -> anyhow::Result<ExitCode> {
    let mut out = String::new();
    for user in accounts.users()? {
        let roles: Vec<&str> = user.roles.iter().map(|r| r.word()).collect();
        if json {
            let line = serde_json::json!({
                "name": user.name, "roles": roles, "disabled": user.disabled, "second_factor": user.has_second(),
                "since": user.since,
            });
            out += &format!("{line}\n");
        } else {
            let state = if user.disabled { "disabled" } else { "" };
            out += &format!("{}\t{}\t{state}\n", user.name, roles.join(","));
        }
    }
    print_bytes(out.as_bytes())
}
