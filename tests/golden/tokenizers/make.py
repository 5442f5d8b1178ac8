"""Trains small tokenizers of each kind and writes what the package `tokenizers` 0.23.3 makes of odd texts: `python make.py`.

Each FILE.json beside this one is a tokenizer. FILE.values.json holds, for each string of strings.json in turn:
[ids of the string as text, ids with the names of special tokens read as these tokens, the decoded text of the latter].
FILE.decoded.json holds lists of ids that no text gave, with the text of each.
"""

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent

GPT_2_WORDS = ["don't stop", "we'll  see", "I'd've", "it's o'clock", "HE'S", "they’re"]
STRINGS = [
    # Nothing, and white space of every kind.
    "", " ", "  ", "   ", "\t", "\t\t a", "\n", "\n\n", "\r\n", "\r", "a\r\nb\r\n", "\r\r\n\n", " \n ", "a \n b", "\u00a0", "a\u00a0b",
    "\u2003em\u2003", "\u3000全角\u3000", "\u2028line\u2029paragraph", "\u200bzero width", "\v\f", "a  b   c    d", " leading",
    "trailing ", "  both  ", "\ttab\t", "a\n\n\nb", "\n a", "x " * 40, " " * 64,
    # Control characters, marks of an order of bytes, what lies beside the surrogates, private use, not characters.
    "\0", "a\0b", "\x01\x02\x03", "\x1b[31mred\x1b[0m", "\x7f", "\x80\x9f", "\u0085", "\u00ad soft\u00adhyphen", "\ufeff", "\ufeffa mark first",
    "mark \ufeff inside", "\ud7ff", "\ue000", "a\ud7ff\ue000b", "\uf8ff", "\U000f0000", "\U0010ffff", "\ufffe", "\uffff", "\ufdd0",
    "\ufffd", "\ufffd\ufffd a", "\ufff9x\ufffb", "\u202eright to left\u202c", "\u2066iso\u2069", "\u0600", "\x00\xff",
    # Composed, decomposed, and more marks than a character usually has.
    "\u00e9", "e\u0301", "caf\u00e9 cafe\u0301", "\u00c5 A\u030a \u212b", "\u1e9b\u0323", "ﬁne ﬂow ﬃ", "①②③", "ｆｕｌｌ", "²³½",
    "Z\u0351\u036b\u0343a\u0323\u0321l\u034b\u0321g\u0330o\u0334", "\u0301 alone", "n\u0303o\u0308", "한국어", "\u1112\u1161\u11ab", "각\u11a8",
    "İstanbul ıI", "straße STRASSE ẞ", "Ǆǅǆ", "ŉ", "ΑΣ ας Σ", "Ω\u2126", "K\u212a",
    # Emoji: modified, joined, flags, keycaps, of texts and of pictures, and half of what belongs together.
    "😀", "a😀b", "👍🏽", "👩‍👩‍👧‍👦", "👨🏿‍🚀 up", "🏳️‍🌈", "🇩🇪🇫🇷🇯", "1️⃣", "❤️ ❤︎", "\u200d", "👩\u200d", "🏽", "\ufe0f", "🫠🫥", "😀" * 10,
    # Scripts.
    "Привет, мир!", "Ёлка — ёж", "Γειά σου Κόσμε", "مرحبا بالعالم", "السَّلَامُ عَلَيْكُمْ", "ﷺ ﷲ", "שלום עולם", "שָׁלוֹם", "नमस्ते दुनिया", "क्षत्रिय", "हिन्दी १२३",
    "বাংলা", "தமிழ்", "ไทยไม่มีช่องว่าง", "ພາສາລາວ", "မြန်မာ", "ខ្មែរ", "ქართული", "Հայերեն", "አማርኛ", "你好，世界！", "没有空格的文字。", "日本語のテキスト",
    "ｶﾀｶﾅ カタカナ", "漢字かな交じり文123", "繁體與简体", "𠀀𠀁𪛖", "\uf900豈", "中a文b", "Tiếng Việt", "Łódź żółć", "ᚠᛇᚻ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐍈𐌰", "ꙮ",
    # Numbers, contractions, punctuation.
    "0", "7 + 8 = 15", "1234567890", "3.14159e-10", "1,000,000.00", "12:34:56", "٣٤٥", "v1.2.3-rc.4", "100%", "#1", "0x1F 0b101",
    *GPT_2_WORDS, "``quoted'' “so” ‘so’", "...", "…", "?!?!", "a-b_c/d\\e", "(a)[b]{c}<d>", "--", "—–-", "«œuvre»", "¿qué?", "$€£¥₹", "a.b.c", "'", "''", "\"",
    # Code and markup.
    "def f(x):\n    return x ** 2  # power\n", "\tif (a && b) {\r\n\t\treturn;\r\n\t}", "<p class=\"x\">&amp;</p>", "SELECT * FROM t WHERE a='b';",
    "{\"a\": [1, null]}", "http://example.org/a?b=c&d=%20#e", "me@example.org", "C:\\dir\\file.txt", "$\\frac{1}{2}$", "| a | b |\n|---|---|", "a\\nb\\u0041",
    # Names of tokens inside a text, whole, cut, doubled, beside spaces and inside words.
    "<|endoftext|>", "a <|endoftext|> b", "<|endoftext|><|endoftext|>", "</s>", "the end</s>", "<s>the", "<unk>", "<pad>", "[SEP] a [CLS]", "[MASK]", "[UNK]",
    "<|endof text|>", "<|endoftext", "<0x41>", "<0x0A><0xFF>", "▁", "▁the▁cat", "##ing", "Ġthe", "a  <extra>  b", "<extra>", "pre<extra>post", "the <EXTRA> one",
    "a word-token b", "word-token", "awordtokenb", "wordtoken", "WordToken",
    # Long.
    "a" * 300, "ab" * 150, "the" * 100, "x1" * 120, "é" * 120, "e\u0301" * 60, "猫" * 100, "Donaudampfschifffahrtsgesellschaftskapitän", "antidisestablishmentarianism" * 5,
    "The quick brown fox jumps over the lazy dog. " * 4, "Four score and seven years ago our fathers brought forth on this continent",
]

# What the tokenizers are trained on: English, and a little of everything that shall have tokens longer than a byte.
MORE = ["Привет, мир! Кошка сидит на коврике.", "你好，世界！ 没有空格的文字", "日本語のテキスト", "مرحبا بالعالم", "नमस्ते दुनिया", "café naïve Łódź", "😀 👍 👩‍👩‍👧‍👦",
        "def f(x):\n    return x\n", "don't we'll it's I'd they've you're I'm", "1234567890 2026 3.14", "\r\n\t\t", "e\u0301 n\u0303"]


def texts():
    return (ROOT / "data/sample.txt").read_text().split("\n") + MORE * 8


def extra():
    """Tokens beyond the vocabulary of a model, each of another manner."""
    return [AddedToken("<extra>", lstrip=True, rstrip=True, normalized=False), AddedToken("word-token", single_word=True), AddedToken("wordtoken", normalized=True)]


def byte_level():
    """As GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_tokens(extra())
    return tokenizer


def byte_level_split():
    """As Qwen 2 and Llama 3: composed characters, a pattern of words, a token in front of a text, special tokens behind the vocabulary."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens(["<|endoftext|>", "<s>"])
    tokenizer.add_tokens(extra())
    begin = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", begin)])])
    tokenizer.enable_truncation(max_length=5, stride=1)
    return tokenizer


def unigram():
    """As T5 and Llama: marks of spaces, a token for each byte, and a file that asks for a length."""
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=500, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    file = json.loads(tokenizer.to_str())
    pieces = file["model"]["vocab"]
    single = [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
    vocab = [tuple(piece) for piece in pieces[:3] + single + pieces[3:]]
    tokenizer.model = models.Unigram(vocab, unk_id=2, byte_fallback=True)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.add_tokens(extra())
    end = tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", end)])
    tokenizer.enable_truncation(max_length=8)
    tokenizer.enable_padding(length=16, pad_id=0, pad_token="<pad>")
    return tokenizer


def word_pieces():
    """As BERT, with the length that its files ask for."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_tokens(extra())
    ids = [(name, tokenizer.token_to_id(name)) for name in ["[CLS]", "[SEP]"]]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids)
    tokenizer.enable_truncation(max_length=16)
    tokenizer.enable_padding(length=32, pad_id=0, pad_token="[PAD]")
    return tokenizer


def metaspace_bpe():
    """As Mistral: BPE with marks of spaces before the first word alone, and a token for each byte."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, limit_alphabet=80, show_progress=False)
    lines = [line for text in texts() for line in text.split(". ")]
    tokenizer.train_from_iterator(lines, trainer)
    file = json.loads(tokenizer.to_str())
    # Bytes are tokens of the model; in these files only the first three are special.
    file["added_tokens"] = file["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_tokens(extra())
    begin = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", begin)])
    return tokenizer


def values(tokenizer):
    """What a tokenizer makes of the strings, without the lengths that its file asks for."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for text in STRINGS:
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        named = tokenizer.encode(text, add_special_tokens=False).ids
        yield [plain, named, tokenizer.decode(named, skip_special_tokens=True)]


def decoded(tokenizer):
    """The texts of ids that no text gave: each alone, what begins a text of several bytes, and at random."""
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    lists = [[id] for id in range(0, size, 7)]
    for text in ["é猫😀", "a\U000f0000b", "😀"]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        lists += [ids[:count] for count in range(1, len(ids))] + [ids[count:] for count in range(1, len(ids))]
    draw = random.Random(1)
    lists += [[draw.randrange(size) for _ in range(draw.randrange(2, 20))] for _ in range(60)]
    for ids in lists:
        yield [ids, tokenizer.decode(ids, skip_special_tokens=True)]


def write(name, rows):
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def main():
    assert len(STRINGS) >= 200 and len(set(STRINGS)) == len(STRINGS), len(STRINGS)
    write("strings.json", STRINGS)
    made = {"byte-level": byte_level, "byte-level-split": byte_level_split, "unigram": unigram, "word-pieces": word_pieces, "metaspace-bpe": metaspace_bpe}
    for name, make in made.items():
        (HERE / f"{name}.json").write_text(json.dumps(json.loads(make().to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    # The files as they lie here, with two that were not made here.
    for name in [*made, "chat", "prepends-a-space"]:
        tokenizer = Tokenizer.from_file(str(HERE / f"{name}.json"))
        write(f"{name}.values.json", values(tokenizer))
        write(f"{name}.decoded.json", decoded(tokenizer))


if __name__ == "__main__":
    main()
