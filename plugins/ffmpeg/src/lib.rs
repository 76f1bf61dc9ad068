//! Any video and any sound, decoded by the `ffprobe` and `ffmpeg` programs of the system.
//!
//! Specification: the documentation of the two programs, <https://ffmpeg.org/documentation.html>. 5.1 or newer is needed.
//!
//! | step | how |
//! |---|---|
//! | recognise | by signature and structure (`detect`), below the formats that are built in |
//! | describe | `ffprobe` on the open file: container, tracks, tags (`probe`) |
//! | pictures | `ffmpeg` writes PAM pictures into a pipe, and the time of each into another (`video`) |
//! | sound | `ffmpeg` writes raw samples into a pipe (`audio`) |
//!
//! **Read:** files with a track of pictures are video, those with sound alone (and covers) audio. One track is decoded: the
//! first of pictures, else the first of sound, or the one of the option `track`. Frames are upright, RGB or RGBA, of 8 bits,
//! or 16 where the source has more than 8. A frame is shown until the next one begins; the last one as long as a frame is
//! at the average rate. Samples are integers where the decoder gives integers, floats otherwise. **Written:** nothing.
//!
//! The programs see the input as their standard input, no network and no other file: protocols and containers are held to a
//! list, and playlists, which name other files, are not on it.
//!
//! **Strictness:** complaints of the decoder (`ffmpeg.damaged`), content that ends before the container says so or in the
//! midst of a packet (`ffmpeg.truncated`, see `cut`), and more of it than the container says (`ffmpeg.length`) are
//! diagnostics, errors in strict mode. A decoder that gives up (`ffmpeg.damaged`) is an error,
//! a diagnostic in lenient mode if there was something before.
#![cfg(unix)]

mod audio;
mod child;
mod cut;
mod detect;
mod input;
mod probe;
mod video;

use std::ffi::OsString;

use mediary_core::{
    Confidence, Context, Error, ErrorKind, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord,
    OptionSpec, OptionType, Probe, Result, Source, Tier,
};

use input::Input;
use probe::{Described, Sort};

/// Containers that may be opened: none that names other files, none that is a device.
const CONTAINERS: &str = "3dostr,4xm,aa,aac,aax,ac3,act,adx,aea,aiff,amr,amrnb,amrwb,ape,apm,aptx,asf,asf_o,ast,au,av1,avi,\
    avs,avs2,avs3,bink,binka,caf,cavsvideo,dhav,dirac,dnxhd,dsf,dsicin,dss,dts,dtshd,dv,eac3,ea,evc,f4v,flac,flic,flv,\
    g722,gsm,gxf,h261,h263,h264,hevc,idcin,iff,ilbc,ipmovie,ircam,ivf,ivr,kux,live_flv,loas,m4v,matroska,mjpeg,mlp,mlv,mm,mov,\
    mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mtv,mv,mvi,mxf,mxg,nsp,nsv,nut,nuv,obu,ogg,oma,paf,pva,qcp,r3d,rl2,rm,roq,rpl,rso,\
    shn,siff,smjpeg,smk,smush,sol,sox,spdif,swf,tak,thp,truehd,tta,ty,vc1,vc1test,vivo,vmd,voc,vqf,vvc,w64,wav,wc3movie,\
    wsaud,wsd,wsvqa,wtv,wv,xa,xmv,xwma,yop,yuv4mpegpipe";

/// Bytes without which the programs do not begin: 1 MiB.
const LEAST_MEMORY: u64 = 1 << 20;

const INFO: FormatInfo = FormatInfo::new("ffmpeg", "Video and sound through ffmpeg", &[Kind::Video, Kind::Audio])
    .extensions(&[
        "mkv", "webm", "avi", "mov", "mp4", "m4v", "mpg", "mpeg", "vob", "ts", "m2ts", "mts", "flv", "f4v", "wmv",
        "asf", "ogv", "3gp", "3g2", "qt", "mxf", "rm", "rmvb", "ivf", "nut", "y4m", "m2v", "ra", "dsf", "8svx", "mp3",
        "mp2", "m4a", "m4b", "aac", "ogg", "oga", "opus", "spx", "wma", "aiff", "aif", "aifc", "ape", "wv", "tta",
        "ac3", "eac3", "dts", "amr", "caf", "au", "snd", "mka", "mpc", "voc", "w64",
    ])
    .media_types(&["video/x-matroska", "video/webm", "video/x-msvideo", "audio/mpeg", "audio/ogg", "audio/mp4"])
    .signatures(detect::SIGNATURES)
    .reads()
    .options(&[
        OptionSpec::read(
            "track",
            OptionType::Int { min: -1, max: 4095 },
            "-1",
            "the track to decode, by its place in the file from 0; -1 the first of pictures, else of sound",
        ),
        OptionSpec::read("start", OptionType::Float, "0", "seconds to leave out before the first frame"),
    ])
    .spec("https://ffmpeg.org/documentation.html")
    .tier(Tier::Fallback);

/// The format.
pub struct Ffmpeg;

impl Format for Ffmpeg {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        detect::probe(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        if cx.options().float("start") < 0.0 {
            let message = format!("option ffmpeg.start: expected 0 or more, found {}", cx.options().float("start"));
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        Ok(Box::new(Reader { source: source.clone(), cx: cx.clone(), described: None, finished: false }))
    }
}

struct Reader {
    source: Source,
    cx: Context,
    described: Option<(Input, Described)>,
    finished: bool,
}

impl Reader {
    fn described(&mut self) -> Result<&(Input, Described)> {
        if self.described.is_none() {
            self.cx.limits().check("alloc_bytes", LEAST_MEMORY)?;
            child::locate("ffmpeg", std::env::var_os("PATH").as_deref())?;
            let input = Input::of(&self.source, &self.cx)?;
            let described = probe::describe(&input, &self.source, &self.cx)?;
            self.described = Some((input, described));
        }
        self.described.as_ref().ok_or_else(|| Error::malformed("the input could not be read"))
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        let (_, described) = self.described()?;
        Ok(Header::single(described.facts()))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(None);
        }
        let (cx, source) = (self.cx.clone(), self.source.clone());
        let (input, described) = self.described()?;
        if let Some(message) = cut::find(&source, &cx)? {
            cx.tolerate("truncated", message, Location::byte(source.len()))?;
        }
        let mut record = match described.sort {
            Sort::Video => MediaRecord::new(video::read(input, described, &cx)?),
            Sort::Audio => MediaRecord::new(audio::read(input, described, &cx)?),
        };
        described.report(&cx);
        record.media_type = described.media_type.into();
        record.properties = described.properties.clone();
        record.source_is_canonical = described.playable;
        Ok(Some(record))
    }
}

/// What both programs are told about the input: no banner, this much talk, these protocols, these containers.
fn common(level: &str, cx: &Context) -> Vec<OsString> {
    let most = cx.limits().alloc_bytes.min(i64::MAX as u64).to_string();
    [
        "-hide_banner",
        "-v",
        level,
        "-max_alloc",
        &most,
        "-protocol_whitelist",
        "file,pipe,fd",
        "-format_whitelist",
        CONTAINERS,
    ]
    .map(OsString::from)
    .to_vec()
}

/// The command line that decodes the chosen track, up to what comes out.
fn decoding(described: &Described, cx: &Context) -> Vec<OsString> {
    // Each line with its level, none left out for being like the one before.
    let mut args = common("repeat+level+warning", cx);
    args.extend(["-nostdin".into(), "-max_pixels".into(), cx.limits().pixels.min(i32::MAX as u64).to_string().into()]);
    if described.start > 0.0 {
        args.extend(["-ss".into(), format!("{:.6}", described.start).into()]);
    }
    args.extend(["-i".into(), input::URL.into(), "-map".into(), format!("0:{}", described.index).into()]);
    args
}

mediary_core::export_plugin! { Ffmpeg: INFO; needs: programs }
