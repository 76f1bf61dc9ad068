use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mediary_core::{ErrorKind, Origin, Registry};

use super::Workshop;
use crate::{Isolation, Place, Plugins, Search, add, remove};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// File name, place, and `ok` or the reason, of all that is found.
fn list(search: &Search) -> Vec<(String, Place, String)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let found = Plugins::discover(search).found;
    let row = |found: &crate::Found| {
        let outcome = found.outcome.as_ref().map_or_else(|error| error.message().to_owned(), |_| "ok".into());
        (name(&found.path), found.place, outcome)
    };
    found.iter().map(row).collect()
}

fn system(path: &Path) -> Search {
    Search { system: vec![path.to_owned()], ..Search::default() }
}

#[test]
fn files_come_first_then_the_variable_then_user_then_system() {
    let shop = Workshop::new();
    let plugin = shop.build("a.so", &[]);
    let [variable, user, global] = ["variable", "user", "system"].map(|name| {
        let folder = shop.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(&plugin, folder.join(format!("{name}.so"))).unwrap();
        folder
    });
    fs::write(variable.join("notes.txt"), "not looked at").unwrap();
    let names = std::env::join_paths([&variable, Path::new("relative"), Path::new("."), Path::new(""), &variable]);
    // Named twice, and named although it lies in a searched folder: once is enough.
    let named = vec![plugin.clone(), plugin, user.join("named.so")];
    fs::copy(&named[0], &named[2]).unwrap();
    let search = Search { files: named, variable: names.ok(), user: Some(user), system: vec![global] };
    let relative = "MEDIARY_PLUGIN_PATH names a relative folder, expected absolute ones";
    let expected = [
        ("a.so", Place::Named, "ok"),
        ("named.so", Place::Named, "ok"),
        ("variable.so", Place::Variable, "ok"),
        ("relative", Place::Variable, relative),
        (".", Place::Variable, relative),
        ("user.so", Place::User, "it was not added: plugins.lock does not list it"),
        ("system.so", Place::System, "ok"),
    ];
    let found = Plugins::discover(&search).found;
    let found: Vec<_> = found
        .iter()
        .map(|found| {
            let outcome = found.outcome.as_ref().map_or_else(|error| error.message(), |_| "ok");
            (
                found.path.file_name().map_or(".".into(), |name| name.to_string_lossy().into_owned()),
                found.place,
                outcome,
            )
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((&*found.0, found.1, found.2), expected);
    }
}

#[test]
fn what_others_can_change_is_refused() {
    let shop = Workshop::new();
    let folder = shop.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    let plugin = folder.join("a.so");
    fs::copy(shop.build("a.so", &[]), &plugin).unwrap();
    assert_eq!(list(&system(&folder))[0].2, "ok");
    for mode in [0o664, 0o646] {
        chmod(&plugin, mode);
        let why = &list(&system(&folder))[0].2;
        assert!(
            why.starts_with("file ") && why.ends_with(&format!("can be changed by others: its mode is {mode:04o}")),
            "{why}"
        );
        // Named by the caller it need only be a file.
        assert_eq!(list(&Search::files([plugin.clone()]))[0].2, "ok");
    }
    chmod(&plugin, 0o644);
    for (changed, mode) in [(&*folder, 0o775), (shop.path(), 0o757)] {
        chmod(changed, mode);
        let rows = list(&system(&folder));
        assert_eq!((rows.len(), &*rows[0].0), (1, "plugins"));
        assert!(rows[0].2.contains(&format!("{} can be changed by others", changed.display())), "{}", rows[0].2);
        chmod(changed, 0o755);
    }
    // As /tmp is. Only root's may be so.
    chmod(shop.path(), 0o1777);
    let root = rustix::process::geteuid().is_root();
    assert_eq!(list(&system(&folder))[0].2 == "ok", root);
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give files away.
    }
    let shop = Workshop::new();
    let folder = shop.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    let plugin = folder.join("a.so");
    fs::copy(shop.build("a.so", &[]), &plugin).unwrap();
    std::os::unix::fs::chown(&plugin, Some(12345), None).unwrap();
    assert!(list(&system(&folder))[0].2.ends_with("belongs to user 12345, not to you or root"));
    std::os::unix::fs::chown(&plugin, Some(0), None).unwrap();
    std::os::unix::fs::chown(shop.path(), Some(12345), None).unwrap();
    assert!(list(&system(&folder))[0].2.ends_with("belongs to user 12345, not to you or root"));
}

#[test]
fn a_link_stays_in_its_folder() {
    let shop = Workshop::new();
    let folder = shop.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    let outside = shop.build("outside.so", &[]);
    fs::copy(&outside, folder.join("a.so")).unwrap();
    symlink("a.so", folder.join("b.so")).unwrap();
    symlink(&outside, folder.join("c.so")).unwrap();
    symlink("nowhere", folder.join("d.so")).unwrap();
    let rows = list(&system(&folder));
    assert_eq!((&*rows[0].2, &*rows[1].2), ("ok", "ok"));
    assert!(rows[2].2.starts_with("it is a link that leaves its folder, to "), "{}", rows[2].2);
    assert!(rows[3].2.starts_with("cannot open the plugin"), "{}", rows[3].2);
}

#[test]
fn adding_locks_and_removing_forgets() {
    let shop = Workshop::new();
    let user = shop.path().join("data/plugins");
    let plugin = shop.build("some name.so", &[]);
    let search = Search { user: Some(user.clone()), ..Search::default() };
    let mut registry = Registry::empty();

    let added = add(&plugin, &user, &registry, false).unwrap();
    assert_eq!((added.path, added.formats, added.replaced), (user.join("told.so"), vec!["told"], None));
    assert_eq!(added.locked.sha256, crate::library::sha256(&plugin).unwrap().0);
    assert_eq!(list(&search), [("told.so".into(), Place::User, "ok".into())]);
    assert!(Plugins::discover(&search).register(&mut registry, Isolation::None).is_empty());
    let origin = registry.origin("told").unwrap();
    assert_eq!(origin.to_string(), format!("plugin told 1.0, {}", user.join("told.so").display()));
    assert!(matches!(origin, Origin::Plugin { sha256, .. } if *sha256 == added.locked.sha256));

    let again = add(&plugin, &user, &registry, false).unwrap_err();
    assert_eq!((again.message(), again.hint()), ("there is a plugin \"told\" already", Some("--force replaces it")));
    assert_eq!(add(&plugin, &user, &registry, true).unwrap().replaced.as_deref(), Some("1.0"));

    // Another plugin with the same id: refused, with both origins.
    let other = shop.build("other.so", &["NAME=\"other\""]);
    let taken = add(&other, &user, &registry, true).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Plugin);
    assert_eq!(
        taken.message(),
        format!(
            "the format id \"told\" is taken: plugin told 1.0, {} has it, and plugin other 1.0, {}",
            user.join("told.so").display(),
            other.display()
        )
    );
    assert!(
        add(&shop.put("x.so", "no plugin"), &user, &registry, true).unwrap_err().message().starts_with("not a shared")
    );
    let rest: Vec<_> = fs::read_dir(&user).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(rest.len(), 2, "the plugin and the lock, nothing half done: {rest:?}");

    assert_eq!(remove("told", &user).unwrap(), user.join("told.so"));
    assert!(list(&search).is_empty());
    assert!(remove("told", &user).unwrap_err().message().starts_with("there is no plugin \"told\""));
    assert!(remove("../told", &user).unwrap_err().message().contains("no plugin name"));
}

#[test]
fn a_file_that_changed_after_it_was_added_is_not_loaded() {
    let shop = Workshop::new();
    let user = shop.path().join("plugins");
    add(&shop.build("a.so", &[]), &user, &Registry::empty(), false).unwrap();
    let search = Search { user: Some(user.clone()), ..Search::default() };
    let mut bytes = fs::read(user.join("told.so")).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(user.join("told.so"), bytes).unwrap();
    let mut registry = Registry::empty();
    assert!(Plugins::discover(&search).register(&mut registry, Isolation::None).is_empty());
    let source = mediary_core::Source::from_bytes("x.told", *b"TOLD record");
    let error = registry.open(&source, &mediary_core::ReadOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(error.message().contains("has changed: expected SHA-256"), "{error}");

    fs::write(user.join("plugins.lock"), "{").unwrap();
    assert!(list(&search)[0].2.starts_with("the lock is broken: "));
}

#[test]
fn an_id_belongs_to_who_comes_first_and_a_plugin_is_taken_whole() {
    let shop = Workshop::new();
    let manifest = |name: &str, ids: [&str; 2]| {
        let formats = ids.map(|id| {
            format!(
                "{{\\\"id\\\":\\\"{id}\\\",\\\"name\\\":\\\"N\\\",\\\"kinds\\\":[\\\"table\\\"],\\\"reads\\\":true}}"
            )
        });
        let head = format!("\\\"manifest\\\":1,\\\"name\\\":\\\"{name}\\\",\\\"version\\\":\\\"1\\\"");
        format!("MANIFEST=\"{{{head},\\\"formats\\\":[{}]}}\"", formats.join(","))
    };
    let first = shop.build("first.so", &[&manifest("first", ["a1", "a2"])]);
    let second = shop.build("second.so", &[&manifest("second", ["a3", "a2"])]);
    let mut registry = Registry::empty();
    let plugins = Plugins::discover(&Search::files([first.clone(), second.clone()]));
    let refusals = plugins.register(&mut registry, Isolation::None);
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].path, second);
    let message = refusals[0].error.message();
    for part in [
        "\"a2\" is taken",
        &format!("plugin first 1, {}", first.display()),
        &format!("plugin second 1, {}", second.display()),
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(registry.formats().map(|info| info.id).collect::<Vec<_>>(), ["a1", "a2"]);
}
