//! The command line: what the flags are, how their values are spelled, and where a value in force comes from.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use mediary::preview;
use mediary::{FormatInfo, Limits, OptionUse, Registry, Strictness};

const EXIT_CODES: &str = "\
Exit codes: 0 all good, 1 failed, 2 usage, 3 finished but some inputs failed, 4 store damaged, 5 store locked, \
130 interrupted. Any other code is a failure.";

/// Any media file in, one canonical media record out.
#[derive(Debug, Parser)]
#[command(name = "mediary", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that mean the same in every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Machine output on stdout: one JSON object, or one a line for several
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Errors only on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to colour; `auto` heeds NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_enum, default_value_t, env = "MEDIARY_COLOR", value_name = "WHEN")]
    pub(crate) color: Color,
    /// Workers of `ingest`, threads for one input elsewhere; the default is one a core
    #[arg(short, long, global = true, env = "MEDIARY_JOBS", value_name = "N", hide_short_help = true)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Memory for decoded media, e.g. 2G: of all workers in `ingest`, of one input elsewhere (sets alloc_bytes)
    #[arg(long, global = true, env = "MEDIARY_MEMORY", value_parser = parse_size, value_name = "SIZE", hide_short_help = true)]
    pub(crate) memory: Option<u64>,
    /// Time for one input, e.g. 60s, 500ms, 5m (sets wall_ms)
    #[arg(long, global = true, value_parser = parse_duration, value_name = "TIME", hide_short_help = true)]
    pub(crate) timeout: Option<Duration>,
    /// Preset of limits
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "MEDIARY_LIMITS",
        value_name = "PRESET",
        hide_short_help = true
    )]
    pub(crate) limits: Preset,
    /// One limit over the preset, e.g. elements=50M, input_bytes=unlimited; `mediary doctor` lists them. K, M, G and T
    /// are powers of 1024
    #[arg(long = "limit", global = true, value_parser = parse_limit, value_name = "NAME=VALUE", hide_short_help = true)]
    pub(crate) limit: Vec<(String, u64)>,
    /// Read as this format, without looking at the content
    #[arg(long, global = true, value_name = "ID", hide_possible_values = true)]
    pub(crate) from: Option<String>,
    /// Every deviation from a specification is an error
    #[arg(long, global = true, conflicts_with = "lenient")]
    pub(crate) strict: bool,
    /// Read whatever can be shown; what is broken is left out, with a diagnostic
    #[arg(long, global = true)]
    pub(crate) lenient: bool,
    /// Option of a format; `mediary formats ID` explains them
    #[arg(short, long = "option", global = true, value_parser = parse_option, value_name = "FORMAT.NAME=VALUE")]
    pub(crate) option: Vec<(String, String)>,
    /// Load the formats of this plugin too; may be given several times
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) plugin: Vec<PathBuf>,
    /// Use no plugins but those named with --plugin
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_plugins: bool,
    /// What runs in worker processes, where it can do no harm
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "MEDIARY_ISOLATE",
        value_name = "HOW",
        hide_short_help = true
    )]
    pub(crate) isolate: Isolate,
    /// What to do after an input failed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHAT", hide_short_help = true)]
    pub(crate) on_error: OnError,
    /// Take inputs also from this file, one a line; `-` is stdin
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// Names in --files-from end with a NUL byte instead of a line feed
    #[arg(short = '0', long = "null", global = true, requires = "files_from", hide_short_help = true)]
    pub(crate) null: bool,
    /// Overwrite outputs that exist
    #[arg(long, global = true)]
    pub(crate) force: bool,
    /// Progress on stderr; `auto` is a bar on a terminal and nothing elsewhere
    #[arg(long, global = true, value_enum, default_value_t, value_name = "HOW", hide_short_help = true)]
    pub(crate) progress: ProgressMode,
}

impl Global {
    /// The one dial.
    pub(crate) fn strictness(&self) -> Strictness {
        match (self.strict, self.lenient) {
            (true, _) => Strictness::Strict,
            (_, true) => Strictness::Lenient,
            _ => Strictness::Default,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What an input is: facts and diagnostics, without conversion
    Info(InfoArgs),
    /// Which format an input has, and why
    Detect(DetectArgs),
    /// Write one input as another format
    Convert(ConvertArgs),
    /// Draw pictures of inputs
    Preview(PreviewArgs),
    /// The formats known, or everything about one
    Formats(FormatsArgs),
    /// Turn files, folders and globs into records of a store; resumable
    Ingest(IngestArgs),
    /// List the records of a store
    Ls(LsArgs),
    /// Show one record of a store as JSON
    Show(ShowArgs),
    /// Check a store; exit code 4 when it is damaged
    Verify(VerifyArgs),
    /// Plugins: formats from files of their own
    Plugin(PluginArgs),
    /// What this build is and which settings are in force
    Doctor,
    /// Print a completion script
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Files; `-` is stdin
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// Read every record to its end, and hash the input, instead of reading the header
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// Files; `-` is stdin
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// Show every candidate and what decided
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// File; `-` is stdin
    pub(crate) input: OsString,
    /// File; `-` is stdout. `{index}` in the name gives every record a file of its own
    pub(crate) output: OsString,
    /// Format to write, instead of what the output's extension says
    #[arg(long, value_name = "ID", hide_possible_values = true)]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Files; `-` is stdin. Of an input with several records the first is drawn, or all with --all
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// Draw every record, such as the pages of a TIFF or the pictures of a COCO file, into a folder
    #[arg(long)]
    pub(crate) all: bool,
    /// The picture: its extension names the format, `-` is PNG on stdout. A folder gets a PNG of every input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Pixels to a side, 16 to 2048
    #[arg(long, default_value_t = 512, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(i64::from(preview::MIN_SIZE)..=i64::from(preview::MAX_SIZE)))]
    pub(crate) size: u32,
    /// What is behind scenes and points: `studio`, `none` for transparency, or a colour as RRGGBB
    #[arg(long, default_value = "studio", value_name = "WHAT", value_parser = parse_background)]
    pub(crate) background: preview::Background,
    /// The axis that points up, where the input does not say or is wrong
    #[arg(long, value_name = "AXIS", value_parser = parse_up)]
    pub(crate) up: Option<preview::Up>,
    /// Layer of boxes and masks to draw, by name; may be given several times. All are drawn otherwise
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Vec<String>,
    /// Class of boxes and masks to draw, by name or id; may be given several times
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Vec<String>,
    /// Least score of the boxes to draw; those without scores are drawn always
    #[arg(long, value_name = "SCORE", default_value_t = 0.0)]
    pub(crate) min_score: f64,
    /// Option of a format; `-o` is the output here. `mediary formats ID` explains them
    #[arg(long, value_parser = parse_option, value_name = "FORMAT.NAME=VALUE")]
    pub(crate) option: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct FormatsArgs {
    /// Id of one format, or a kind: the operations on it
    #[arg(hide_possible_values = true)]
    pub(crate) id: Option<String>,
    /// The table of docs/formats.md
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Files, folders and globs
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// Folder of the store; made if there is none
    #[arg(long, value_name = "STORE")]
    pub(crate) to: PathBuf,
    /// What to keep of a record
    #[arg(long, value_enum, default_value_t)]
    pub(crate) assets: Assets,
    /// When data is forced to the disk
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) durability: Durability,
    /// Take only files of folders that match this glob; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out files of folders that match this glob; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Take files and folders whose names start with a dot too
    #[arg(long)]
    pub(crate) hidden: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Folder of the store
    pub(crate) store: PathBuf,
    /// Records of this kind only
    #[arg(long, value_parser = kinds())]
    pub(crate) kind: Option<String>,
    /// Rows of this status only
    #[arg(long, value_parser = ["ok", "error", "skipped"])]
    pub(crate) status: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Folder of the store
    pub(crate) store: PathBuf,
    /// Path of an input, or the first digits of the SHA-256 of an input or an asset
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Folder of the store
    pub(crate) store: PathBuf,
    /// Hash every object anew
    #[arg(long)]
    pub(crate) deep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// The plugins found, and those refused; loads none
    List(PluginListArgs),
    /// Copy a plugin into your plugin folder, to be used from now on
    Add(PluginAddArgs),
    /// Remove a plugin from your plugin folder
    Remove(PluginRemoveArgs),
    /// Hold the formats of a plugin to what they declare
    Check(PluginCheckArgs),
    /// Write a crate with a plugin that builds and works, to start from
    New(PluginNewArgs),
    /// Print the C header of the plugin interface
    Header,
}

#[derive(Debug, Args)]
pub(crate) struct PluginListArgs {
    /// Say why a plugin is refused, and everything else that its file tells
    #[arg(long)]
    pub(crate) why: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginAddArgs {
    /// The plugin
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PluginRemoveArgs {
    /// Name of the plugin, as `mediary plugin list` shows it
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct PluginCheckArgs {
    /// The plugin
    pub(crate) file: PathBuf,
    /// Good files of its formats, or folders of such; otherwise the folder `samples` near the plugin
    pub(crate) samples: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PluginNewArgs {
    /// Name of the crate, and of the folder that is made for it
    pub(crate) name: String,
    /// Id of the format; otherwise the name, without a leading `mediary-`
    #[arg(long, value_name = "ID")]
    pub(crate) format: Option<String>,
    /// Folder of the crate mediary-core to build with
    #[arg(long, value_name = "PATH")]
    pub(crate) core: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the page of every command into this folder
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// One's own files: generous, still bounded
    #[default]
    Desktop,
    /// A server that converts what its users send
    Service,
    /// Files from anywhere
    Untrusted,
}

impl Preset {
    fn limits(self) -> Limits {
        match self {
            Self::Desktop => Limits::desktop(),
            Self::Service => Limits::service(),
            Self::Untrusted => Limits::untrusted(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolate {
    /// Plugins
    #[default]
    Auto,
    /// Plugins and the built-in formats
    Process,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    #[default]
    Continue,
    Stop,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    #[default]
    Auto,
    /// A line of text every few seconds
    Plain,
    /// A line of JSON every few seconds
    Json,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Assets {
    /// The canonical form of its kind
    #[default]
    Canonical,
    /// The bytes of the input
    Source,
    Both,
    None,
}

impl From<Assets> for mediary_ingest::AssetPolicy {
    fn from(assets: Assets) -> Self {
        match assets {
            Assets::Canonical => Self::Canonical,
            Assets::Source => Self::Source,
            Assets::Both => Self::Both,
            Assets::None => Self::None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// When the system likes: survives a crash of mediary, not of the machine
    None,
    /// Before the rows of a batch are committed
    #[default]
    Batch,
    /// After every input
    Full,
}

impl From<Durability> for mediary_ingest::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::None => Self::None,
            Durability::Batch => Self::Batch,
            Durability::Full => Self::Full,
        }
    }
}

/// Where the values of the settings with several origins come from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) color: &'static str,
    pub(crate) jobs: &'static str,
    pub(crate) memory: &'static str,
    pub(crate) limits: &'static str,
    pub(crate) isolate: &'static str,
}

/// A limit with its value and where that comes from.
pub(crate) struct LimitInForce {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
    pub(crate) origin: String,
}

/// The command tree, with the ids and options of the formats known filled in: help, errors and completions show them.
pub(crate) fn command(registry: &Registry) -> clap::Command {
    let ids = |wanted: fn(&FormatInfo) -> bool| {
        PossibleValuesParser::new(registry.formats().filter(|info| wanted(info)).map(|info| info.id))
    };
    Cli::command()
        .mut_arg("from", |arg| arg.value_parser(ids(|info| info.reads)))
        .mut_arg("option", |arg| arg.long_help(option_help(registry)))
        .mut_subcommand("convert", |convert| {
            convert.mut_arg("to", |arg| arg.value_parser(ids(|info| info.writes.is_some())))
        })
        .mut_subcommand("formats", |formats| {
            let kinds = registry.operations().map(|operations| operations.kind.as_str());
            let known = registry.formats().map(|info| info.id).chain(kinds);
            formats.mut_arg("id", |arg| arg.value_parser(PossibleValuesParser::new(known)))
        })
}

/// Parses the process's arguments.
pub(crate) fn parse(
    registry: &Registry,
    early: &Early,
    arguments: Vec<OsString>,
) -> Result<(Cli, Origins), clap::Error> {
    let mut command = command(registry).color(early.choice());
    let matches = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let origin = |id, env, flag| origin(&matches, id, env, flag);
    let origins = Origins {
        color: origin("color", "MEDIARY_COLOR", "--color"),
        jobs: origin("jobs", "MEDIARY_JOBS", "--jobs"),
        memory: origin("memory", "MEDIARY_MEMORY", "--memory"),
        limits: origin("limits", "MEDIARY_LIMITS", "--limits"),
        isolate: origin("isolate", "MEDIARY_ISOLATE", "--isolate"),
    };
    Ok((cli, origins))
}

fn origin(matches: &ArgMatches, id: &str, env: &'static str, flag: &'static str) -> &'static str {
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => flag,
        Some(ValueSource::EnvVariable) => env,
        _ => "default",
    }
}

/// What has to be known before the rest is parsed: the parser's own errors have colours, and its help names formats, those
/// of plugins too. What is wrong here the parser will say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Early {
    pub(crate) color: Color,
    pub(crate) plugins: Vec<PathBuf>,
    pub(crate) no_plugins: bool,
    pub(crate) isolate: Isolate,
    /// The environment names no plugins when files may come from anywhere.
    pub(crate) untrusted: bool,
    pub(crate) quiet: bool,
}

impl Early {
    pub(crate) fn scan(arguments: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Self {
        let word_of = |text: &str| Isolate::from_str(text, false).unwrap_or_default();
        let mut early = Self {
            isolate: variable("MEDIARY_ISOLATE").map_or(Isolate::default(), |text| word_of(&text)),
            untrusted: variable("MEDIARY_LIMITS").as_deref() == Some("untrusted"),
            ..Self::default()
        };
        let mut words = arguments.iter().skip(1).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            let Some(word) = word.to_str() else {
                // A file whose name is no text: `--plugin=FILE` in one word.
                early.plugins.extend(plugin_of(word));
                continue;
            };
            let (flag, given) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(OsString::from(value))),
                None => (word, None),
            };
            let mut value = || given.clone().or_else(|| words.next().cloned()).unwrap_or_default();
            match flag {
                "--plugin" => early.plugins.push(value().into()),
                "--isolate" => early.isolate = word_of(&value().to_string_lossy()),
                "--limits" => early.untrusted = value() == "untrusted",
                "--color" => early.color = Color::from_str(&value().to_string_lossy(), false).unwrap_or(early.color),
                "--no-plugins" => early.no_plugins = true,
                "--quiet" | "-q" => early.quiet = true,
                _ => {}
            }
        }
        early
    }

    fn choice(&self) -> clap::ColorChoice {
        match self.color {
            Color::Auto => clap::ColorChoice::Auto,
            Color::Always => clap::ColorChoice::Always,
            Color::Never => clap::ColorChoice::Never,
        }
    }
}

/// The file of `--plugin=FILE` in bytes that are no text.
#[cfg(unix)]
fn plugin_of(word: &OsStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    word.as_bytes().strip_prefix(b"--plugin=").map(|file| OsStr::from_bytes(file).into())
}

#[cfg(not(unix))]
fn plugin_of(_: &OsStr) -> Option<PathBuf> {
    None
}

fn option_help(registry: &Registry) -> String {
    use std::fmt::Write as _;
    let mut help = String::from("Option of a format, or an operation on a kind; may be given several times:\n");
    let formats = registry.formats().map(|info| (info.id, info.options));
    let kinds = registry.operations().map(|operations| (operations.kind.as_str(), operations.options));
    for (owner, options) in formats.chain(kinds) {
        for option in options {
            let usage = match option.usage {
                OptionUse::Read => "read",
                OptionUse::Write => "write",
            };
            let _ = writeln!(
                help,
                "  {owner}.{}={}  {} ({usage}; default {:?})",
                option.name,
                option.kind.describe().replace(" | ", "|"),
                option.help,
                option.default
            );
        }
    }
    help
}

/// The limits in force: preset, then `--memory` and `--timeout`, then each `--limit`.
pub(crate) fn limits_in_force(global: &Global, origins: &Origins) -> (Limits, Vec<LimitInForce>) {
    let mut limits = global.limits.limits();
    let preset = match global.limits {
        Preset::Desktop => "desktop",
        Preset::Service => "service",
        Preset::Untrusted => "untrusted",
    };
    let preset = format!("preset {preset} ({})", origins.limits);
    let mut table: Vec<_> = Limits::NAMES
        .iter()
        .map(|name| LimitInForce { name, value: limits.get(name).unwrap_or(u64::MAX), origin: preset.clone() })
        .collect();
    let mut set = |name: &str, value: u64, origin: &str| {
        limits.set(name, value);
        if let Some(row) = table.iter_mut().find(|row| row.name == name) {
            row.value = value;
            row.origin = origin.to_owned();
        }
    };
    if let Some(memory) = global.memory {
        set("alloc_bytes", memory, origins.memory);
    }
    if let Some(timeout) = global.timeout {
        set("wall_ms", u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX), "--timeout");
    }
    for (name, value) in &global.limit {
        set(name, *value, "--limit");
    }
    (limits, table)
}

/// `512`, `64K`, `1.5G`, `2GiB`, `unlimited`: K, M, G and T are powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(u64::MAX);
    }
    let wrong = || "expected a number with an optional K, M, G or T (powers of 1024), or `unlimited`".to_owned();
    let upper = text.trim().to_ascii_uppercase();
    let number = upper.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match &upper[number.len()..] {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return Err(wrong()),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(|| "too large".to_owned());
    }
    let value = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    if factor == 1 || value >= u64::MAX as f64 {
        return Err(wrong());
    }
    Ok(value as u64)
}

/// `60s`, `500ms`, `5m`, `1h`, `90` (seconds), `1.5s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time above 0 such as 60s, 500ms, 5m or 1h".to_owned();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * unit;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(wrong()),
    }
}

/// `name=value` of a known limit.
fn parse_limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if !Limits::NAMES.contains(&name) {
        return Err(format!("there is no limit {name:?}; known: {}", Limits::NAMES.join(", ")));
    }
    Ok((name.to_owned(), parse_size(value)?))
}

/// `format.name=value`; whether there is such an option is checked against the registry.
fn parse_option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected FORMAT.NAME=VALUE")?;
    if !name.contains('.') {
        return Err(format!("expected FORMAT.NAME=VALUE, found no format in {name:?}"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_background(text: &str) -> Result<preview::Background, String> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    match (text, text.len() == 6, byte(0), byte(2), byte(4)) {
        ("studio", ..) => Ok(preview::Background::Studio),
        ("none", ..) => Ok(preview::Background::Transparent),
        (_, true, Some(r), Some(g), Some(b)) => Ok(preview::Background::Color([r, g, b])),
        _ => Err("expected `studio`, `none` or a colour as RRGGBB".to_owned()),
    }
}

fn parse_up(text: &str) -> Result<preview::Up, String> {
    preview::Up::named(text).ok_or_else(|| "expected x, y or z".to_owned())
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(mediary::Kind::ALL.iter().map(|kind| kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Cli, Origins), clap::Error> {
        parse(&Registry::empty(), &Early::default(), line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn the_tree_is_consistent() {
        command(&Registry::builtin()).debug_assert();
    }

    #[test]
    fn sizes() {
        for (text, value) in [
            ("0", 0),
            ("512", 512),
            ("64K", 64 << 10),
            ("64k", 64 << 10),
            ("2G", 2 << 30),
            ("2GiB", 2 << 30),
            ("1.5G", 3 << 29),
            ("1T", 1 << 40),
            ("10B", 10),
            ("unlimited", u64::MAX),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(value), "{text}");
        }
        for bad in ["", "G", "-1", "1.5", "1..5K", "2X", "1e3", "0x10", "99999999T", "18446744073709551616", "inf", "ä"]
        {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in
            [("60s", 60_000), ("60", 60_000), ("500ms", 500), ("1.5s", 1500), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "0", "0ms", "-1s", "1d", "inf", "nan", "1e400s", "99999999999999999999h", "ä"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_set_in_order_and_keep_their_origin() {
        let line = "mediary info a --limits untrusted --memory 1G --timeout 2s --limit elements=3K --limit wall_ms=7";
        let (cli, origins) = parsed(line).unwrap();
        let (limits, table) = limits_in_force(&cli.global, &origins);
        assert_eq!((limits.alloc_bytes, limits.elements, limits.wall_ms), (1 << 30, 3072, 7));
        assert_eq!(limits.input_bytes, Limits::untrusted().input_bytes);
        let origin = |name| table.iter().find(|row| row.name == name).map(|row| row.origin.as_str());
        assert_eq!(origin("alloc_bytes"), Some("--memory"));
        assert_eq!(origin("wall_ms"), Some("--limit"));
        assert_eq!(origin("depth"), Some("preset untrusted (--limits)"));
        assert_eq!(table.len(), Limits::NAMES.len());
    }

    #[test]
    fn usage_errors_have_code_2() {
        for line in [
            "mediary",
            "mediary frobnicate",
            "mediary info a --limit nonsense=1",
            "mediary info a --limit elements",
            "mediary info a --limit elements=many",
            "mediary info a --strict --lenient",
            "mediary info a -o nodot=1",
            "mediary info a -o a.b",
            "mediary info a --from nosuchformat",
            "mediary info a --timeout soon",
            "mediary info a -j 0",
            "mediary info a -q -v",
            "mediary info a -0",
            "mediary convert a",
            "mediary convert a b --to nosuchformat",
            "mediary ingest a",
            "mediary ls s --kind nosuchkind",
        ] {
            assert_eq!(parsed(line).map(drop).map_err(|error| error.exit_code()), Err(2), "{line}");
        }
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for line in ["mediary --json -o a.b=c=d info x", "mediary info x --json -o a.b=c=d"] {
            let (cli, _) = parsed(line).unwrap();
            assert!(cli.global.json);
            assert_eq!(cli.global.option, [("a.b".to_owned(), "c=d".to_owned())]);
        }
    }

    #[test]
    fn what_the_parser_depends_on_is_known_before_parsing() {
        let early = |line: &str, variables: &[(&str, &str)]| {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            Early::scan(&words, |name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(early("mediary --color never info", &[]).choice(), clap::ColorChoice::Never);
        assert_eq!(early("mediary info --color=always", &[]).choice(), clap::ColorChoice::Always);
        assert_eq!(early("mediary info --color", &[]).choice(), clap::ColorChoice::Auto);
        let found = early("mediary --plugin a.so info -q --plugin=b=c.so --no-plugins --isolate none x", &[]);
        assert_eq!(found.plugins, [PathBuf::from("a.so"), "b=c.so".into()]);
        assert!(found.no_plugins && found.quiet && !found.untrusted);
        assert_eq!(found.isolate, Isolate::None);
        assert_eq!(early("mediary info", &[("MEDIARY_ISOLATE", "process")]).isolate, Isolate::Process);
        assert_eq!(early("mediary --isolate auto", &[("MEDIARY_ISOLATE", "process")]).isolate, Isolate::Auto);
        assert!(early("mediary info", &[("MEDIARY_LIMITS", "untrusted")]).untrusted);
        assert!(!early("mediary info --limits desktop", &[("MEDIARY_LIMITS", "untrusted")]).untrusted);
        assert_eq!(early("mediary info -- --no-plugins --plugin x", &[]), Early::default());
    }
}
