#!/usr/bin/env bash
# Runs the commands of the README and of the book on small settings.
#
#   scripts/book_check.sh [TRAINER]          # target/release/trainer by default
#   scripts/book_check.sh --list             # how many blocks are run, and why others are not
#
# Blocks of code that begin with ```sh are run, page by page, each page in a folder of its own. The folder has the configurations of
# configs/ with few steps and small batches, the data, scripts and tests of the repository, a text notes.txt, and runs of main,
# baseline, bad-run-1, depth-s3 and the sweep lr-schedules. A block ```toml,NAME is written to the file NAME.
# Blocks marked ```sh,WORD are not run; the words are below, with their reasons.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

declare -A reasons=(
  [build]="compiles" [gpu]="needs a GPU" [mpi]="needs MPI" [network]="needs the network" [slurm]="needs Slurm"
  [minutes]="takes minutes" [hours]="takes hours" [home]="writes to the home folder" [server]="runs until it is stopped"
  [tool]="needs another program" [example]="names files of the reader's"
)
book=$root/crates/rondo-trainer/book/src
# Pages in the order of the book; pages that the program writes have no commands.
pages=("$root/README.md")
while read -r name; do pages+=("$book/$name"); done < <(sed -n 's/.*](\(.*\.md\))$/\1/p' "$book/SUMMARY.md")

# Prints the blocks of a page: a line "LINE WORD" for each, then its text, each line behind a tab.
blocks() {
  awk '
    inside && /^```/ { inside = 0; next }
    inside { if (wanted) print "\t" $0; next }
    /^```/ {
      inside = 1
      wanted = /^```(sh|toml)/
      sub(/^```/, "")
      if (wanted) print NR " " $0
    }' "$1"
}

declare -A counted=()
for page in "${pages[@]}"; do
  while read -r line words; do
    case $words in
      sh | toml | toml,*.toml) ;;
      sh,*)
        if [ -z "${reasons[${words#sh,}]:-}" ]; then
          echo "book_check: $page:$line: \`$words\`: expected sh,WORD with one of: ${!reasons[*]}" >&2
          exit 1
        fi ;;
      *)
        echo "book_check: $page:$line: \`$words\` is neither sh, sh,WORD, toml nor toml,NAME.toml" >&2
        exit 1 ;;
    esac
    counted[$words]=$((${counted[$words]:-0} + 1))
  done < <(blocks "$page" | grep -v $'^\t' || true)
done
if [ "${1:-}" = --list ]; then
  printf '%4d blocks of commands are run\n' "${counted[sh]}"
  for word in "${!reasons[@]}"; do
    [ -z "${counted[sh,$word]:-}" ] || printf '%4d not run: %s\n' "${counted[sh,$word]}" "${reasons[$word]}"
  done | sort -k5
  exit 0
fi

program=$(realpath "${1:-${CARGO_TARGET_DIR:-$root/target}/release/trainer}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export NO_COLOR=1 HOME=$scratch/home RONDO_BOOK_PROGRAM=$program
mkdir -p "$scratch/home" "$scratch/bin" "$scratch/template"

# The program as the pages call it. A configuration that a page has written itself is trained for a few steps, too.
cat > "$scratch/bin/trainer" << 'SH'
#!/usr/bin/env bash
file=${1:-}
[ "$file" != train ] || file=${2:-}
case $file in
  configs/*) ;;
  *.toml) set -- "$@" --set train.steps=4 --set eval.tokens=64 ;;
esac
exec "$RONDO_BOOK_PROGRAM" "$@"
SH
chmod +x "$scratch/bin/trainer"
PATH=$scratch/bin:$PATH

# The folder that each page starts from.
cd "$scratch/template"
mkdir -p data/cache
ln -s "$root/scripts" scripts
ln -s "$root/tests" tests
cp "$root/data/sample.txt" "$root/data/first.txt" data/
head -n 6 "$root/data/next-line.jsonl" > data/next-line.jsonl
head -c 40000 "$root/data/first.txt" > notes.txt
mkdir corpus
cp notes.txt corpus/
cp "$root/tests/golden/tokenizers/byte-level.json" tokenizer.json
(cd "$root/configs" && find . -name '*.toml') | while read -r path; do
  path=${path#./}
  mkdir -p "configs/$(dirname "$path")"
  if grep -q '^base = ' "$root/configs/$path"; then
    sed 's/^draws = 3/draws = 1/' "$root/configs/$path" > "configs/$path"
    continue
  fi
  {
    echo "base = \"$root/configs/$path\""
    printf '[train]\nsteps = 8\nbatch = 2\nlog_every = 1\n'
    printf '[eval]\nevery = 4\ntokens = 64\n[checkpoint]\nevery = 4\n[schedule]\nwarmup = 2\n'
    if grep -q 'kind = "text"' "$root/configs/$path"; then
      printf '[data]\nkind = "text"\npaths = ["data/sample.txt"]\ntokenizer = { kind = "bytes" }\nval_fraction = 0.2\n'
    fi
    if grep -q '^\[\[perturb\]\]' "$root/configs/$path"; then
      printf '[[perturb]]\nkind = "lr-spike"\nat_step = 4\nfactor = 2.0\nsteps = 2\n'
    fi
  } > "configs/$path"
done
{
  for config in main baseline bad-run-1 depth-s3; do
    trainer --config "configs/$config.toml" --quiet
  done
  trainer sweep configs/sweeps/lr-schedules.toml --parallel 2 --quiet
} > "$scratch/output" 2>&1 || { cat "$scratch/output" >&2; exit 1; }

failed=0
ran=0
for page in "${pages[@]}"; do
  name=${page#"$root/"}
  folder=$scratch/page
  rm -rf "$folder"
  cp -a "$scratch/template" "$folder"
  cd "$folder"
  # Each block in a file, named after its line.
  rm -rf "$scratch/blocks"
  mkdir "$scratch/blocks"
  blocks "$page" | awk -v dir="$scratch/blocks" -v page="$folder" '
    /^\t/ { if (file) print substr($0, 2) > file; next }
    {
      if (file) close(file)
      file = ""
      if ($2 == "sh") file = sprintf("%s/%06d", dir, $1)
      if ($2 ~ /^toml,/) file = page "/" substr($2, 6)
    }'
  for block in "$scratch"/blocks/*; do
    [ -e "$block" ] || continue
    line=$((10#$(basename "$block")))
    ran=$((ran + 1))
    start=$EPOCHREALTIME
    if ! timeout 300 bash -euo pipefail -x "$block" < /dev/null > "$scratch/output" 2>&1; then
      failed=$((failed + 1))
      echo "book_check: $name:$line failed:" >&2
      tail -n 30 "$scratch/output" >&2
    elif [ -n "${BOOK_CHECK_TIMES:-}" ]; then
      awk -v from="$start" -v to="$EPOCHREALTIME" -v at="$name:$line" 'BEGIN { printf "%6.1f s  %s\n", to - from, at }'
    fi
  done
done
echo "book_check: $ran blocks of commands, $failed failed"
[ "$failed" = 0 ]
