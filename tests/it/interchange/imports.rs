//! Tests which files and tensors an import reads, and which it leaves out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rondo_files::DType;
use serde_json::json;

use super::{Tensors, altered, export, golden, import, read, refused, weights, write};
use crate::harness::{assert_ok, run, scratch};

#[test]
fn an_imported_model_evaluates_on_token_files() {
    let dir = scratch();
    let out = dir.path().join("runs/raven");
    let ended = import(&golden(), &out);
    assert_ok(&ended);
    assert!(
        ended.stdout.contains("218,688 parameters, stored as f32"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
    let tokens = golden().join("io.safetensors").display().to_string();
    let path = out.display().to_string();
    let eval = ["eval", &path, "--device", "flex", "--recurrence", "1,8"];
    let ended = run(eval.iter().chain(&["--tokens", &tokens, "--json"]));
    assert_ok(&ended);
    let found = ended.json();
    assert_eq!(found["runs"][0]["step"], 0);
    assert_eq!(found["runs"][0]["depths"][1]["recurrence"], 8);

    let ended = run(eval);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("--tokens") && !ended.stderr.contains("--data"),
        "{ended:?}"
    );
    let ended = run(eval.iter().chain(&["--data", "README.md"]));
    assert_eq!(ended.code, 2, "{ended:?}");
    let config = out.join("config.toml").display().to_string();
    let ended = run(["--config", &config, "--device", "flex"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains(&format!("[init] from = \"{path}\"")),
        "{ended:?}"
    );
    let ended = run(eval.iter().chain(&["--checkpoint", "best"]));
    assert_eq!(ended.code, 4, "{ended:?}");
}

#[test]
fn shards_give_what_one_file_gives() {
    let dir = scratch();
    let source = altered(dir.path(), |_| {}, |_| {});
    let all = read(&source.join("model.safetensors"));
    fs::remove_file(source.join("model.safetensors")).expect("a file");
    let mut shards = [Tensors::new(), Tensors::new()];
    let mut places = BTreeMap::new();
    for (i, (name, tensor)) in all.into_iter().enumerate() {
        places.insert(name.clone(), format!("model-{}.safetensors", i % 2));
        shards[i % 2].insert(name, tensor);
    }
    for (i, shard) in shards.iter().enumerate() {
        write(&source.join(format!("model-{i}.safetensors")), shard);
    }
    let index = source.join("model.safetensors.index.json");
    let list = |places: &BTreeMap<String, String>| {
        let text = json!({"metadata": {"total_size": 1}, "weight_map": places}).to_string();
        fs::write(&index, text).expect("writable");
    };
    list(&places);
    let (whole, sharded) = (dir.path().join("whole"), dir.path().join("sharded"));
    assert_ok(&import(&golden(), &whole));
    assert_ok(&import(&source, &sharded));
    assert!(weights(&whole, 0) == weights(&sharded, 0));

    let out = dir.path().join("out");
    let check = |change: &dyn Fn(&mut BTreeMap<String, String>), parts: &[&str]| {
        let mut changed = places.clone();
        change(&mut changed);
        list(&changed);
        refused(&import(&source, &out), 4, parts, dir.path(), 3);
    };
    let norm = "transformer.ln_f.weight";
    let place = |places: &mut BTreeMap<String, String>, shard: &str| {
        places.insert(norm.to_owned(), shard.to_owned());
    };
    check(
        &|places| drop(places.remove(norm)),
        &["index.json", norm, "is not listed"],
    );
    check(
        &|places| place(places, "model-7.safetensors"),
        &["model-7.safetensors"],
    );
    check(
        &|places| place(places, "../model-0.safetensors"),
        &["index.json", "does not name"],
    );
    let other = |places: &mut BTreeMap<String, String>| {
        let swapped = if places[norm] == "model-0.safetensors" {
            "1"
        } else {
            "0"
        };
        place(places, &format!("model-{swapped}.safetensors"));
    };
    check(&other, &["index.json", norm]);
    check(
        &|places| drop(places.insert("ghost".to_owned(), "model-0.safetensors".to_owned())),
        &["index.json", "ghost is not in model-0.safetensors"],
    );
    // A tensor that can be computed from others may be listed but missing in the shard, listed in a
    // missing shard, or present in a shard but not listed.
    let derived = dir.path().join("derived");
    let mut listed = places.clone();
    listed.insert(
        "lm_head.weight".to_owned(),
        "model-1.safetensors".to_owned(),
    );
    listed.insert("freqs_cis".to_owned(), "model-9.safetensors".to_owned());
    list(&listed);
    assert_ok(&import(&source, &derived));
    assert!(weights(&derived, 0) == weights(&whole, 0));
    list(&places);
    let mut first = read(&source.join("model-0.safetensors"));
    let wte = read(&golden().join("model.safetensors"))["transformer.wte.weight"].clone();
    first.insert("lm_head.weight".to_owned(), wte);
    write(&source.join("model-0.safetensors"), &first);
    fs::remove_dir_all(&derived).expect("a folder");
    assert_ok(&import(&source, &derived));
    assert!(weights(&derived, 0) == weights(&whole, 0));
    fs::remove_dir_all(&derived).expect("a folder");

    fs::write(&index, "{\"weight_map\": 3}").expect("writable");
    refused(&import(&source, &out), 4, &["index.json"], dir.path(), 3);
}

#[test]
fn a_tied_head_and_rotary_tables_are_dropped_and_an_untied_head_is_kept() {
    let dir = scratch();
    let (plain, derived) = (dir.path().join("plain"), dir.path().join("derived"));
    assert_ok(&import(&golden(), &plain));
    let add = |tensors: &mut Tensors| {
        let embedding = tensors["transformer.wte.weight"].clone();
        tensors.insert("lm_head.weight".to_owned(), embedding);
        let table = (DType::F32, vec![1, 128, 1, 8, 2], vec![0; 8192]);
        tensors.insert("freqs_cis".to_owned(), table);
    };
    let source = altered(dir.path(), add, |_| {});
    assert_ok(&import(&source, &derived));
    assert!(weights(&plain, 0) == weights(&derived, 0));

    let differ = |tensors: &mut Tensors| {
        add(tensors);
        tensors.get_mut("lm_head.weight").expect("just added").2[0] ^= 1;
    };
    altered(dir.path(), differ, |_| {});
    let out = dir.path().join("out");
    refused(
        &import(&source, &out),
        4,
        &["lm_head.weight", "tie_embeddings"],
        dir.path(),
        3,
    );
    altered(dir.path(), differ, |config| {
        config["tie_embeddings"] = json!(false);
    });
    assert_ok(&import(&source, &out));
    let there = dir.path().join("there");
    assert_ok(&export(&out, &there, &[]));
    let head = |folder: &Path| read(&folder.join("model.safetensors"))["lm_head.weight"].clone();
    assert!(head(&there) == head(&source));
}

#[test]
fn unknown_keys_are_warned_about_by_name_and_harmless_ones_are_not() {
    let dir = scratch();
    let source = altered(
        dir.path(),
        |_| {},
        |config| {
            config["transformers_version"] = json!("4.47.1");
            config["test_time_noise"] = json!(0);
            config["eos_token_id"] = json!(3);
            config["warp_factor"] = json!(9);
        },
    );
    let ended = import(&source, &dir.path().join("run"));
    assert_ok(&ended);
    assert_eq!(ended.stderr.matches("warning").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("warp_factor"), "{ended:?}");
}
