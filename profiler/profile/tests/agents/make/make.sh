#!/bin/sh
# Regenerates the profiles in the parent folder, each with a real profiler of its language.
#
#     make.sh [work folder]
#
# Needs Linux, ptrace and: go, python3 with venv, a JDK with mvn and unzip, ruby, node with npm,
# cargo. On Debian: apt-get install python3-venv default-jdk-headless maven unzip ruby nodejs npm
# The profilers are installed into the work folder, whose path appears in the profiles.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=${1:-/tmp/agents}
out=$work/out
mkdir -p "$out"
cp -r "$here"/*/ "$work"
cd "$work"

for tool in go "${PYTHON:-python3}" javac mvn unzip ruby node npm cargo gzip; do
    command -v "$tool" >/dev/null || { echo "make.sh: $tool is missing; see the comment at the top" >&2; exit 1; }
done

echo "go: runtime/pprof"
(cd go && go build -trimpath -o agent .)
go/agent "$out"

echo "python: pyroscope-io"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install -q pyroscope-io==1.4.0
venv/bin/python python/agent.py "$out"

echo "java: async-profiler"
jar() {
    mvn -q -B dependency:copy "-Dartifact=tools.profiler:$1:$2" "-DoutputDirectory=$work/java"
}
jar async-profiler 4.6
jar jfr-converter 4.5
unzip -oq java/async-profiler-4.6.jar 'linux-*' -d java
case $(uname -m) in
    aarch64) library=java/linux-arm64/libasyncProfiler.so ;;
    *) library=java/linux-x64/libasyncProfiler.so ;;
esac
javac -cp java/async-profiler-4.6.jar -d java java/Agent.java
java -cp java:java/async-profiler-4.6.jar Agent "$work/$library" "$work/java/agent.jfr"
java -jar java/jfr-converter-4.5.jar --cpu --threads -o pb.gz java/agent.jfr "$out/java-cpu.pb.gz"
java -jar java/jfr-converter-4.5.jar --alloc --total --threads -o pb.gz java/agent.jfr \
    "$out/java-alloc.pb.gz"

echo "ruby: rbspy"
cargo install --quiet --locked --debug --version 0.55.0 --root "$work" rbspy
bin/rbspy record --silent --duration 3 --format pprof --file "$out/ruby-wall.pb.gz" \
    --raw-file "$work/ruby/raw.gz" -- ruby "$work/ruby/agent.rb" 4

echo "node: @datadog/pprof"
(cd node && npm install --silent --no-audit --no-fund --no-package-lock)
node node/agent.js "$out"

echo "rust: pprof"
rm -rf rust/agent
cargo new --quiet --vcs none rust/agent
cp rust/main.rs rust/agent/src/main.rs
(
    cd rust/agent
    cargo add --quiet pprof@=0.15.0 --no-default-features --features prost-codec
    CARGO_PROFILE_RELEASE_DEBUG=1 RUSTFLAGS="--remap-path-prefix=$HOME=~" \
        cargo build --quiet --release --target-dir "$work/rust/target"
)
rust/target/release/agent "$work/rust/rust-cpu.pb"
gzip -nc rust/rust-cpu.pb >"$out/rust-cpu.pb.gz"

cp "$out"/*.pb.gz "$here/.."
ls -l "$here"/../*.pb.gz
