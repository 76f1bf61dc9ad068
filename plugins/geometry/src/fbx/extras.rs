//! What users and programs wrote beside the scene: user properties, and the properties of the document.

use mediary_core::{Context, Severity};
use serde_json::{Map, Number, Value};
use ufbx::{Element, Prop, PropFlags, PropType, Scene};

/// Bytes of JSON that are kept of all user properties together.
const MOST: usize = 1 << 20;
/// Letters of a text that are kept.
const TEXT: usize = 4096;

/// User properties by the path of their element.
pub(super) struct Extras<'c> {
    kept: Map<String, Value>,
    bytes: usize,
    left_out: u64,
    cx: &'c Context,
}

impl<'c> Extras<'c> {
    pub(super) fn new(cx: &'c Context) -> Self {
        Self { kept: Map::new(), bytes: 0, left_out: 0, cx }
    }

    /// Keeps the user properties of an element, those of each path once.
    pub(super) fn keep(&mut self, path: &str, element: &Element) {
        let own = element.props.props.iter().filter(|prop| prop.flags.has_any(PropFlags::USER_DEFINED));
        for prop in own {
            let Some(value) = value(prop) else { continue };
            let bytes = path.len() + prop.name.len() + value.to_string().len();
            if self.bytes + bytes > MOST {
                self.left_out += 1;
                continue;
            }
            self.bytes += bytes;
            let known = self.kept.entry(path).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(known) = known {
                known.insert(prop.name.to_string(), value);
            }
        }
    }

    /// The properties of the record.
    pub(super) fn properties(self, scene: &Scene) -> Map<String, Value> {
        let message = format!("user properties beyond {MOST} bytes were left out");
        self.cx.report_times(Severity::Warning, "extras", message, None, self.left_out);
        let metadata = &scene.metadata;
        let mut properties = Map::new();
        properties.insert("version".into(), metadata.version.into());
        properties.insert("ascii".into(), metadata.ascii.into());
        let mut put = |name: &str, text: &str| {
            let text: String = text.chars().take(TEXT).collect();
            if !text.is_empty() {
                properties.insert(name.to_owned(), text.into());
            }
        };
        put("creator", &metadata.creator);
        for (name, application) in
            [("original_application", &metadata.original_application), ("application", &metadata.latest_application)]
        {
            let words: Vec<&str> = [&*application.vendor, &*application.name, &*application.version].into();
            put(name, words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").as_str());
        }
        for name in ["Title", "Subject", "Author", "Keywords", "Revision", "Comment", "Copyright"] {
            if let Some(prop) = ufbx::find_prop(&metadata.scene_props, name) {
                put(&name.to_lowercase(), &prop.value_str);
            }
        }
        if !self.kept.is_empty() {
            properties.insert("extras".into(), self.kept.into());
        }
        properties
    }
}

/// A property as JSON; `None` for one without a value of its own.
fn value(prop: &Prop) -> Option<Value> {
    let [x, y, z, w] = [prop.value_vec4.x, prop.value_vec4.y, prop.value_vec4.z, prop.value_vec4.w];
    let text = || Value::from(prop.value_str.chars().take(TEXT).collect::<String>());
    Some(match prop.type_ {
        PropType::Boolean => (prop.value_int != 0).into(),
        PropType::Integer => prop.value_int.into(),
        PropType::Number | PropType::Distance => number(x),
        PropType::Vector | PropType::Color | PropType::Translation | PropType::Rotation | PropType::Scaling => {
            [x, y, z].map(number).to_vec().into()
        }
        PropType::ColorWithAlpha => [x, y, z, w].map(number).to_vec().into(),
        PropType::String | PropType::DateTime => text(),
        PropType::Unknown if !prop.value_str.is_empty() => text(),
        _ => return None,
    })
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

/// A property as text, for what a material says of itself.
pub(super) fn text(prop: &Prop) -> Option<String> {
    Some(match value(prop)? {
        Value::String(text) => text,
        Value::Array(values) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    })
}
