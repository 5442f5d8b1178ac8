use super::*;

fn parse(json: &str) -> Result<DataConfig, serde_json::Error> {
    serde_json::from_str(json)
}

fn broken_keys(config: &DataConfig) -> Vec<String> {
    let mut keys = Vec::new();
    config.validate(&mut |key, _| keys.push(key.to_owned()));
    keys
}

#[test]
fn the_shortest_sections_are_valid_and_come_back_from_their_own_text() {
    for json in [
        r#"{"kind":"text"}"#,
        r#"{"kind":"text","tokenizer":{"kind":"bytes"},"max_bytes":9}"#,
        r#"{"kind":"text","tokenizer":{"kind":"bpe"},"skip_bad_lines":true}"#,
        r#"{"kind":"text","tokenizer":{"kind":"file","path":"t.json"}}"#,
        r#"{"kind":"text","tokenizer":{"kind":"file","path":"t.json","end_of_text":"<EOT>"}}"#,
        r#"{"kind":"prepared","path":"p"}"#,
        r#"{"kind":"none"}"#,
        r#"{"kind":"word-problem"}"#,
        r#"{"kind":"word-problem","group":{"kind":"alternating","n":5}}"#,
        r#"{"kind":"arithmetic","curriculum":{"start":1,"step":1,"max":5}}"#,
    ] {
        let config = parse(json).expect(json);
        assert!(broken_keys(&config).is_empty(), "{json}");
        let text = serde_json::to_string(&config).expect("a config is plain data");
        assert_eq!(parse(&text).expect("its own text"), config);
    }
    assert_eq!(
        parse(r#"{"kind":"text"}"#).expect("valid"),
        DataConfig::default()
    );
}

#[test]
fn guessing_is_right_once_in_as_many_answers() {
    for (json, answers) in [
        (r#"{"kind":"word-problem"}"#, 6.0),
        (r#"{"kind":"arithmetic","modulus":3}"#, 3.0),
    ] {
        let chance = parse(json).expect(json).chance_accuracy();
        let expected: f64 = 1.0 / answers;
        assert!((chance.expect("a task") - expected).abs() < 1e-15, "{json}");
    }
    assert_eq!(DataConfig::default().chance_accuracy(), None);
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    for json in [
        r#"{"kind":"text","path":"x"}"#,
        r#"{"kind":"text","tokenizer":{"kind":"bytes","vocab_size":300}}"#,
        r#"{"kind":"text","tokenizer":{"kind":"bpe","end_of_text":"<EOT>"}}"#,
        r#"{"kind":"prepared","path":"p","cache":"c"}"#,
        r#"{"kind":"none","path":"p"}"#,
        r#"{"kind":"word-problem","group":{"kind":"cyclic","n":5,"order":5}}"#,
        r#"{"kind":"arithmetic","curriculum":{"start":1,"step":1,"max":5,"min":0}}"#,
        r#"{"kind":"word_problem"}"#,
    ] {
        assert!(parse(json).is_err(), "{json}");
    }
}

#[test]
fn every_violation_is_reported_with_its_key() {
    let text = DataConfig::Text {
        paths: vec!["a".to_owned(), String::new()],
        hub: None,
        tokenizer: TokenizerConfig::Bpe { vocab_size: 256 },
        val_fraction: f64::NAN,
        max_bytes: Some(0),
        cache: String::new(),
        field: String::new(),
        skip_bad_lines: false,
        document_mask: false,
    };
    assert_eq!(
        broken_keys(&text),
        [
            "paths.1",
            "tokenizer.vocab_size",
            "val_fraction",
            "max_bytes",
            "cache",
            "field"
        ]
    );
    let file = r#"{"kind":"text","tokenizer":{"kind":"file","path":"t","end_of_text":""}}"#;
    let keys = broken_keys(&parse(file).expect("valid"));
    assert_eq!(keys, ["tokenizer.end_of_text"]);
    let words = DataConfig::WordProblem {
        group: Group::Symmetric { n: 7 },
        curriculum: Curriculum::new(0, 1, 4),
    };
    assert_eq!(broken_keys(&words), ["group.n", "curriculum.start"]);
    let trees = DataConfig::Arithmetic {
        modulus: 1,
        seq: 30,
        curriculum: Curriculum::new(1, 1, 4),
    };
    assert_eq!(broken_keys(&trees), ["modulus", "seq"]);
}

#[test]
fn the_rules_of_hub_tokens_and_mixtures_are_told_with_their_keys() {
    for (json, keys) in [
        (
            r#"{"kind":"text","paths":["a"],"hub":{"repo":"","files":[]}}"#,
            &["hub", "hub.repo", "hub.files"][..],
        ),
        (
            r#"{"kind":"text","hub":{"repo":"https://huggingface.co/datasets/a/b","revision":"","files":[""]}}"#,
            &["hub.repo", "hub.revision", "hub.files.0"],
        ),
        (
            r#"{"kind":"text","hub":{"repo":"../b","files":["*"]}}"#,
            &["hub.repo"],
        ),
        (
            r#"{"kind":"text","hub":{"repo":"imdb","files":["*"]}}"#,
            &[],
        ),
        (
            r#"{"kind":"tokens","train":[],"tokenizer":{"kind":"bpe"}}"#,
            &["train", "tokenizer.kind"],
        ),
        (
            r#"{"kind":"tokens","train":["a",""],"val":[""],"tokenizer":{"kind":"bytes"},"val_fraction":0}"#,
            &["train.1", "val.0", "val_fraction"],
        ),
        (r#"{"kind":"mixture","sources":[]}"#, &["sources"]),
        (
            r#"{"kind":"mixture","sources":[
                {"name":"a b","weight":1,"data":{"kind":"prepared","path":""}},
                {"name":"c","weight":0,"data":{"kind":"none"}},
                {"name":"c","weight":1,"data":{"kind":"text"}}]}"#,
            &[
                "sources.0.name",
                "sources.0.data.path",
                "sources.1.weight",
                "sources.1.data.kind",
                "sources.2.name",
            ],
        ),
        (
            r#"{"kind":"mixture","sources":[
                {"name":"a","weight":1,"data":{"kind":"text"}},
                {"name":"b","weight":0.0004,"data":{"kind":"text"}}]}"#,
            &["sources.1.weight"],
        ),
        (
            r#"{"kind":"mixture","document_mask":true,"sources":[
                {"name":"a","weight":1,"data":{"kind":"text"}},
                {"name":"b","weight":1,"data":{"kind":"text","document_mask":true}}]}"#,
            &["sources.1.data.document_mask"],
        ),
    ] {
        let config = parse(json).expect("a form that is known");
        assert_eq!(broken_keys(&config), keys, "{json}");
    }
}

#[test]
fn only_data_with_documents_has_a_document_mask() {
    for (json, masked) in [
        (r#"{"kind":"text"}"#, false),
        (r#"{"kind":"text","document_mask":true}"#, true),
        (
            r#"{"kind":"prepared","path":"a","document_mask":true}"#,
            true,
        ),
        (
            r#"{"kind":"tokens","train":["a"],"tokenizer":{"kind":"bytes"},"document_mask":true}"#,
            true,
        ),
        (
            r#"{"kind":"mixture","sources":[],"document_mask":true}"#,
            true,
        ),
    ] {
        let config = parse(json).expect("a form that is known");
        assert_eq!(config.document_mask(), masked, "{json}");
        let written = serde_json::to_string(&config).expect("writable");
        assert_eq!(written.contains("document_mask"), masked, "{written}");
    }
    for kind in ["word-problem", "arithmetic", "none"] {
        let json = format!(r#"{{"kind":"{kind}","document_mask":true}}"#);
        assert!(parse(&json).is_err(), "{json}");
    }
}

#[test]
fn the_earlier_name_of_the_field_is_read_too() {
    let text = parse(r#"{"kind":"text","json_field":"a.b"}"#).expect("a text");
    assert!(matches!(&text, DataConfig::Text { field, .. } if field == "a.b"));
    assert!(parse(r#"{"kind":"text","json_field":"a","field":"b"}"#).is_err());
    // A configuration file is first compared with the schema.
    let toml = "kind = \"text\"\njson_field = \"a.b\"\n";
    let document = rondo_config::Document::parse("test.toml", toml);
    let read: DataConfig = document.expect("TOML").read().expect("a key that is known");
    assert_eq!(read, text);
}
