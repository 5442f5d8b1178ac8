"""Writes the tables beside this file with pyarrow 26.0.1: `python make.py`."""

import json

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

# Every form of the same documents; the empty one is left out by every reader.
TEXTS = ["one", "", "t\nwo\r\n", "drei é 猫 😀", "four " * 20, "one", "six\0".replace("\0", " nul"), "7\t\"seven\""]

plain = pa.table({"id": list(range(len(TEXTS))), "text": TEXTS})
nested = pa.table({"doc": [{"meta": {"n": i}, "body": text} for i, text in enumerate(TEXTS)]})
large = pa.table({"text": pa.array(TEXTS, pa.large_string())})
coded = pa.table({"text": pa.array(TEXTS).dictionary_encode()})
nulls = pa.table({"text": ["a", None, "b"]})
all_null = pa.table({"text": pa.array([None, None], pa.dictionary(pa.int32(), pa.string()))})
nested_nulls = pa.table({"doc": pa.array([{"body": "a"}, None, {"body": None}, {"body": "b"}])})
lists = pa.table({"text": [["a", "b"], ["c"]], "n": [1, 2]})

for codec in ["none", "snappy", "gzip", "zstd", "lz4"]:
    pq.write_table(plain, f"{codec}.parquet", compression=codec, row_group_size=3)
pq.write_table(plain, "pages-2.parquet", data_page_version="2.0", use_dictionary=False, compression="zstd")
by_differences = dict(use_dictionary=False, column_encoding={"id": "PLAIN", "text": "DELTA_BYTE_ARRAY"})
pq.write_table(plain, "delta.parquet", **by_differences)
required = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("text", pa.string(), nullable=False)])
pq.write_table(plain.cast(required), "delta-required.parquet", **by_differences)
pq.write_table(plain, "delta-lengths.parquet", use_dictionary=False, data_page_version="2.0", compression="zstd",
               column_encoding={"id": "PLAIN", "text": "DELTA_LENGTH_BYTE_ARRAY"})
pq.write_table(nested, "nested.parquet")
pq.write_table(large, "large.parquet", use_dictionary=False)
pq.write_table(coded, "coded.parquet")
pq.write_table(nulls, "nulls.parquet")
pq.write_table(nested_nulls, "nested-nulls.parquet")
pq.write_table(lists, "lists.parquet")

for codec in ["uncompressed", "zstd", "lz4"]:
    feather.write_feather(plain, f"{codec}.feather", compression=codec, chunksize=3)
for name, table in {"plain": plain, "nested": nested, "large": large, "coded": coded, "nulls": nulls, "all-null": all_null,
                    "nested-nulls": nested_nulls, "lists": lists}.items():
    # The stream format, as `datasets` writes it.
    with ipc.new_stream(f"{name}.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
views = pa.table({"text": pa.array(TEXTS, pa.string_view())})
with ipc.new_file("views.arrow", views.schema) as writer:
    writer.write_table(views)

with open("texts.jsonl", "w", encoding="utf-8") as file:
    for text in TEXTS:
        file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
with open("nested.jsonl", "w", encoding="utf-8") as file:
    for text in TEXTS:
        file.write(json.dumps({"doc": {"body": text}}) + "\n")
