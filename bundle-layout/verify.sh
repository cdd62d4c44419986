#!/bin/sh
# Verifies an offline kit, folder or tarball, with a POSIX shell, openssl and the ordinary text tools.
#
#     sh verify.sh KEY.pub KIT.tar.gz|FOLDER
#
# KEY.pub holds one PEM public key or several, one after the other. It is tested with dash, bash, ksh93 and BusyBox; another shell may
# stop it with exit 1 (mksh, yash and zsh do). Needed: openssl 1.1.1 for an ECDSA P-256 key, 3.0 for Ed25519;
# sha256sum, gzip, od, dd, awk, sed, grep, find, xargs, cmp and their like, from GNU, BusyBox or elsewhere. The format and its
# authorities stand in docs/kit-format.md. The rules, in the order in which they are enforced; the numbers stand again below:
#
#  stage 0, exit 2 or 4
#  (1) KEY.pub holds PEM public keys of ECDSA P-256 or Ed25519, each a point that can be trusted; the kit is there.
#  stage 1, exit 6
#  (2) A folder holds regular files and folders only; nothing is set-id, sticky or world-writable.
#  (3) A tarball is one gzip member, whole, with nothing after it.
#  (4) In it is one tar archive: strict headers, types and modes, two zero blocks, then zeros alone.
#  (5) Names obey the name rule; no two are equal, also under case folding; none is a folder; no folder is empty.
#  (6) Nothing exceeds its budget.
#  stage 2, exit 5
#  (7) All six files of the envelope are there.
#  (8) The key that SHA256SUMS.sigstore.json names was given, and SHA256SUMS.sig verifies under it.
#  (9) SHA256SUMS.sig and SHA256SUMS.sigstore.json have their one byte form.
#  stages 3 and 4, exit 6, every defect named
#  (10) SHA256SUMS obeys its grammar, line by line.
#  (11) Every listed file has its SHA-256.
#  (12) Nothing that is listed is missing, nothing is there that is not listed.
#  stage 5, exit 5
#  (13) manifest.json is the payload of every manifest DSSE, each signed by another given key, the first by the key of (8).
#  (14) manifest.json is a canonical Statement about SHA256SUMS and each of its lines, with the right rootHash and version.
#  (15) The two statements under attestations/ are there; each is signed by a given key and about this rootHash.
#  (16) Each image has its folder attestations/<image>/, and each such folder its image; signature, provenance and SBOM statement
#       in it are one given key's and about that image's manifest; every other byte in it follows from these three. Where the
#       parts of manifest.json name an image, they tell this digest, or that it is absent.
#  (17) The two keyless files are there both or not at all, each in its one form, about this SHA256SUMS and this manifest.json;
#       trust "keyless" demands them.
#  Below attestations/ there is nothing else.
#
# A file that has one byte form is made anew and compared; nothing is believed because a pattern was found in it. No archiver touches
# the tarball: its headers are read here, and files are cut out of it by dd into a private folder that is gone at the end. Nothing of
# the kit is run and no connection is opened. What it does not do: judge versions against an earlier kit, look at what is inside
# wheels or the layers of an image, notice that somebody changes a folder while it is read, tell two gzip members from one where the
# first unpacks to a multiple of 4 GiB, or judge what stands in the fields of identity (keyless) signatures; that is `lnm kit verify`.

# shellcheck disable=SC2016 # awk programs stand in single quotes: their dollars are awk's
set -eu
trap 'exit 1' EXIT # until there is a better one: a copy of this file that was cut off must not end with 0
unset IFS GZIP POSIXLY_CORRECT
export LC_ALL=C
umask 077

MIB=1048576
MAX_DECOMPRESSED=$((64 * MIB)) # and 100 times the size of the file
MAX_MEMBERS=100000
MAX_SIGNED_FILE=$((64 * MIB))
MAX_KEY_FILE=65536
MAX_MANIFEST=65536 # of an image
MAX_KEYLESS=65536 # of a keyless file, what it repeats of the kit not counted
WHOLE='wanted a whole archive; copy the kit again'
ENVELOPE='SHA256SUMS SHA256SUMS.sig SHA256SUMS.sigstore.json manifest.json manifest.dsse.json manifest.sigstore.json'
KEYLESS='SHA256SUMS.keyless.sigstore.json manifest.keyless.sigstore.json'
STATEMENTS='attestations/slsa-provenance.dsse.json attestations/spdx.dsse.json'
PROVENANCE_TYPE=https://slsa.dev/provenance/v1
SPDX_TYPE=https://spdx.dev/Document
IMAGES='lnm-runner-linux-amd64 lnm-runner-linux-arm64'
IMAGE_NAME=stella-ops.org/concelier/lnm-runner
MANIFEST=application/vnd.oci.image.manifest.v1+json
INDEX=application/vnd.oci.image.index.v1+json
COSIGN=dev.cosignproject.cosign/
REF_NAME='"org.opencontainers.image.ref.name":'
NO_TIME=0001-01-01T00:00:00Z
DIGEST='sha256:[0-9a-f]\{64\}'
BUNDLE=application/vnd.dev.sigstore.bundle.v0.3+json
MEDIA_TYPE="\"mediaType\":\"$BUNDLE\""
STATEMENT_HEAD='{"_type":"https://in-toto.io/Statement/v1","predicate":'

work=    # the private folder, in which every relative path below lies
verdict= # the exit code once it is known; to leave without one is unforeseen

# --- how it ends -----------------------------------------------------------------------------------------------------------------

# Removes the private folder, whatever happened.
# shellcheck disable=SC2317,SC2329 # a trap calls it
finish() {
    set +e
    trap '' INT TERM HUP PIPE
    trap - EXIT
    if [ -n "$work" ]; then
        [ -n "$verdict" ] || noise=$(tail -n 1 "$work/noise" 2>/dev/null | shown)
        cd / && rm -rf "$work"
    fi
    [ -n "$verdict" ] || tell "refused: kit: unforeseen: ${noise:-a tool failed}, nothing is known of this kit"
    exit "${verdict:-1}"
}

# make_private_folder: sets `work`, which `finish` removes with all that is in it. So it must be a folder that this very call has made: it has
# our name, rmdir found it empty, and mkdir, which takes no folder that is there, made it again. (A mktemp that prints nothing and says
# that all went well once made this the folder in which we were started.)
make_private_folder() {
    made=$(mktemp -d "${TMPDIR:-/tmp}/lnm-verify.XXXXXXXXXX") || return 1
    case $made in
    /*/lnm-verify.?*) ;;
    */lnm-verify.?*) made=$PWD/$made ;;
    *) return 1 ;;
    esac
    rmdir "$made" && mkdir "$made" || return 1
    work=$made
}

# tell LINE: on standard error as it was given; where that is closed or full, the exit code must do.
tell() {
    printf '%s\n' "$1" >&3 || :
}

# end CODE WHAT: ends at once with one line, for what is no verdict on a kit.
end() {
    verdict=$1
    tell "refused: kit: $2, nothing is known of this kit"
    exit "$1"
}

# Ends after writing has failed.
disk_is_full() {
    end 1 "it cannot be unpacked, perhaps the disk under $(printf '%s' "${TMPDIR:-/tmp}" | shown) is full"
}

# Text that nobody has checked, as printable ASCII on one line, cut after 200 characters.
shown() {
    tr '\n' ' ' | tr -c ' -~' '?' | cut -c 1-200 | sed 's/ *$//'
}

# refused FILE FOUND WANTED: notes a failure. AWK_NAMES has the same for awk programs.
refused() {
    printf 'refused: %s: %s, %s\n' "$1" "$2" "$3" >>failures
}

# fault FILE FOUND WANTED: notes a failure and fails.
fault() {
    refused "$@"
    return 1
}

# refuse CODE FILE FOUND WANTED: notes a failure and stops.
refuse() {
    refused "$2" "$3" "$4"
    stop "$1"
}

# stop CODE: tells the failures that were noted, and what to do; without one, what happened is unforeseen.
stop() {
    [ -s failures ] || exit 1
    cat failures >&3 || :
    case $1 in
    2) next='give the public key of the publisher, received by another way than the kit: sh verify.sh KEY.pub KIT' ;;
    4) next='check the path' ;;
    5) next='do not use this kit; compare the fingerprints with the one that the publisher told you, then fetch the kit again' ;;
    *) next='do not use this kit; copy it again from where it came, and if it is refused again, tell the publisher' ;;
    esac
    tell "next: $next"
    verdict=$1
    exit "$1"
}

# stop_if_refused CODE: stops when awk programs or loops have noted failures.
stop_if_refused() {
    [ ! -s failures ] || stop "$1"
}

# --- small things of bytes -------------------------------------------------------------------------------------------------------

size_of() { echo $(($(wc -c <"$1"))); } # some wc print blanks before it
# shellcheck disable=SC2046 # here and below, the numbers that od prints are to be split
hex_of() { printf '%s' $(od -An -v -tx1 "$1"); }
b64_of() { openssl base64 -A -in "$1"; }

# decode TEXT-FILE FILE: base64 on one line; lax, for every caller encodes again and compares.
decode() { openssl base64 -d -A -in "$1" -out "$2" 2>/dev/null || : >"$2"; }

# base64 of a SHA-256 in hex: three digits of the one are two of the other, but at the end.
AWK_BASE64='
function digit(hex, at) { return index("123456789abcdef", substr(hex, at, 1)) }
function base64(hex,    digits, t, n, i) {
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    hex = hex "00"
    for (i = 1; i < 66; i += 3) {
        n = 256 * digit(hex, i) + 16 * digit(hex, i + 1) + digit(hex, i + 2)
        t = t substr(digits, int(n / 64) + 1, 1) substr(digits, n % 64 + 1, 1)
    }
    return substr(t, 1, 43) "="
}
'

# --- names: rule (5), for awk programs ----------------------------------------------------------------------------------------------

AWK_NAMES='
function refused(file, found, wanted) {
    printf "refused: %s: %s, %s\n", substr(file, 1, 200), substr(found, 1, 300), wanted >> "failures"
}
function envelope(name) {
    if (name ~ /^manifest\.[0-9a-f]+\.dsse\.json$/) return length(name) == 35
    if (name ~ /^(SHA256SUMS|manifest)\.keyless\.sigstore\.json$/) return 1
    return name ~ /^SHA256SUMS(\.sig(store\.json)?)?$/ || name ~ /^manifest\.((dsse|sigstore)\.)?json$/
}
function attestation(name) { return name ~ /^attestations\// }
function name_fault(name,    part, n, i) {
    n = split(name, part, "/")
    if (n < 1 || n > 32 || length(name) > 1024) return "its name has " n " parts and " length(name) " characters"
    for (i = 1; i <= n; i++) {
        if (part[i] !~ /^[A-Za-z0-9_+=@-]([A-Za-z0-9._+=@-]*[A-Za-z0-9_+=@-])?$/ || length(part[i]) > 255)
            return "its name has the part \"" substr(part[i], 1, 100) "\""
        if (tolower(part[i]) ~ /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/)
            return "its name has the part \"" substr(part[i], 1, 100) "\", a device on Windows"
    }
    return ""
}
function check_name(name, file, where) { # whether it obeys the rule
    if (name_fault(name) == "") return 1
    refused(file, where name_fault(name), "wanted parts of A-Z a-z 0-9 . _ + = @ - with no dot at either end, " \
        "no device name, at most 32 and 1024 characters")
    return 0
}
'

# --- stage 0: rule (1) ---------------------------------------------------------------------------------------------------------------

# Splits key.txt into key.<n>.b64 and prints how many there are; text around the blocks is a comment.
AWK_PEM='
function wrong(found) { if (!failed) refused(key, found, "wanted -----BEGIN PUBLIC KEY-----"); failed = 1; exit }
{ sub(/[ \t\r]+$/, "") }
/PRIVATE KEY/ { wrong("this is a private key, and none to give to anybody") }
$0 == "-----BEGIN PUBLIC KEY-----" && !inside { inside = 1; body = ""; next }
$0 == "-----END PUBLIC KEY-----" && inside { inside = 0; printf "%s", body > ("key." ++n ".b64"); next }
/-----/ { wrong("not a public key in PEM form") }
inside { gsub(/[ \t\r]/, ""); if ($0 ~ "[^A-Za-z0-9+/=]") wrong("its base64 is broken"); body = body $0 }
END { if (!failed) { if (inside || !n) wrong("not a public key in PEM form"); print n } }
'

# Takes the 64 hex digits of an Ed25519 public key; exit 1 unless they are the one encoding of a point (RFC 8032 section 5.1.3) that
# is not of small order: under those eight, forged signatures verify, and openssl looks at neither. There is a point if u/v is a
# square, u = y^2 - 1, v = d y^2 + 1, hence unless (u v)^((p-1)/2) = -1 (Euler). Numbers are 16 limbs of 16 bits, below 2^256.
AWK_POINT='
function byte(hex, at) {
    return 16 * index("123456789abcdef", substr(hex, 2 * at + 1, 1)) + index("123456789abcdef", substr(hex, 2 * at + 2, 1))
}
function limbs(r, hex,    i) { for (i = 0; i < 16; i++) r[i] = byte(hex, 2 * i) + 256 * byte(hex, 2 * i + 1) }
function multiply(r, x, y,    t, i, j, c) {
    for (i = 0; i < 32; i++) t[i] = 0
    for (i = 0; i < 16; i++) for (j = 0; j < 16; j++) t[i + j] += x[i] * y[j] # below 2^37, exact in a double
    for (i = 0; i < 16; i++) t[i] += 38 * t[i + 16]                           # 2^256 = 38 mod p
    do {
        c = 0
        for (i = 0; i < 16; i++) { c += t[i]; t[i] = c % 65536; c = (c - t[i]) / 65536 }
        t[0] += 38 * c
    } while (c > 0)
    for (i = 0; i < 16; i++) r[i] = t[i]
}
BEGIN {
    y = substr(hex, 1, 62) sprintf("%02x", byte(hex, 31) % 128) # without the sign of x
    if (substr(y, 3) ~ /^f*7f$/ && byte(y, 0) >= 236) exit 1    # y is -1, of order 2, or not below p
    if (substr(y, 3) ~ /^0*$/ && byte(y, 0) <= 1) exit 1        # y is 0, of order 4, or 1, of order 1
    if (y ~ /^26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05$/) exit 1 # order 8, as the next
    if (y ~ /^c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a$/) exit 1
    limbs(v, y)
    multiply(u, v, v)
    limbs(d, "a3785913ca4deb75abd841414d0a700098e879777940c78c73fe6f2bee6c0352")
    multiply(v, d, u)
    v[0]++
    limbs(d, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f") # -1
    for (i = 0; i < 16; i++) { u[i] += d[i]; power[i] = i == 0 }
    multiply(u, u, v)
    for (i = 253; i >= 0; i--) { # (p-1)/2 = 2^254 - 10: every bit but 0 and 3
        multiply(power, power, power)
        if (i != 0 && i != 3) multiply(power, power, u)
    }
    exit power[0] == 65516 || power[0] == 65497 # the low limbs of p - 1 and 2p - 1, and of no 0 or 1
}
'

# read_keys: leaves the table `keys`, a line a key: number, algorithm, fingerprint, hint, keyid.
read_keys() {
    { [ -n "$1" ] && [ -e "$key" ]; } || refuse 4 "$key_shown" 'no such key file' 'wanted the public key of the publisher'
    { [ ! -d "$key" ] && head -c $((MAX_KEY_FILE + 1)) <"$key" >key.txt; } || refuse 2 "$key_shown" 'cannot be read' 'wanted a key file'
    [ "$(size_of key.txt)" -le "$MAX_KEY_FILE" ] || refuse 2 "$key_shown" "more than $MAX_KEY_FILE bytes" 'wanted a key file'
    count=$(tr '\000' '?' <key.txt | awk -v key="$key_shown" "$AWK_NAMES$AWK_PEM")
    stop_if_refused 2
    key_n=0
    while [ "$key_n" -lt "$count" ]; do
        key_n=$((key_n + 1))
        read_key "key.$key_n" >>keys
    done
}

# read_key FILE: the line of one key.
read_key() {
    decode "$1.b64" "$1.der"
    b64_of "$1.der" | cmp -s - "$1.b64" || refuse 2 "$key_shown" 'its base64 is broken' 'wanted a whole PEM block'
    spki=$(hex_of "$1.der")
    case ${#spki}:$spki in
    182:3059301306072a8648ce3d020106082a8648ce3d03010703420004*) # RFC 5480, uncompressed point
        algorithm=P-256
        openssl pkey -pubin -inform DER -in "$1.der" -pubout -out "$1.pem" >/dev/null 2>&1 ||
            refuse 2 "$key_shown" 'its ECDSA P-256 point is none to trust' 'wanted a sound key'
        ;;
    88:302a300506032b6570032100*) # RFC 8410
        algorithm=Ed25519
        awk -v hex="${spki#302a300506032b6570032100}" "$AWK_POINT" </dev/null ||
            refuse 2 "$key_shown" 'its Ed25519 point is none to trust' 'wanted a sound key'
        openssl pkeyutl -help >help 2>&1 || : # some versions show their help and fail
        { grep -q -e '-rawin' help && openssl pkey -pubin -inform DER -in "$1.der" -pubout -out "$1.pem" >/dev/null; } ||
            end 1 "$(openssl version | shown) is too old for an Ed25519 key, use OpenSSL 3.0 or newer, or verify_kit.py"
        ;;
    *) refuse 2 "$key_shown" "$(other_kind "$1.der")" 'wanted ECDSA P-256 (uncompressed point) or Ed25519' ;;
    esac
    case $algorithm in # the SSH wire form: RFC 5656 section 3.1, RFC 8709 section 4
    P-256) printf '\000\000\000\023ecdsa-sha2-nistp256\000\000\000\010nistp256\000\000\000\101' && tail -c 65 "$1.der" ;;
    *) printf '\000\000\000\013ssh-ed25519\000\000\000\040' && tail -c 32 "$1.der" ;;
    esac >wire
    sha256sum "$1.der" wire | awk -v key="$key_n $algorithm" "$AWK_BASE64"'
        NR == 1 { key = key " " $1 " " base64($1) }
        NR == 2 { print key, "SHA256:" substr(base64($1), 1, 43) }'
}

# other_kind FILE: what a key that is none of ours is, told by the OBJECT IDENTIFIER near the front of its SPKI: RFC 3279, RFC 4055,
# RFC 5480, SEC 2, RFC 8410.
other_kind() {
    case $(printf '%.80s' "$spki") in
    *06092a864886f70d010101*)
        bits=$(openssl rsa -pubin -inform DER -in "$1" -noout -text 2>/dev/null | sed -n 's/.*(\([0-9]*\) bit.*/ of \1 bits/p')
        echo "RSA$bits (RSA below 3072 bits is refused anywhere, larger ones are not used here)"
        ;;
    *06092a864886f70d01010a*) echo RSA-PSS ;;
    *06072a8648ce380401*) echo DSA ;;
    *06052b81040021*) echo ECDSA P-224 ;;
    *06052b81040022*) echo ECDSA P-384 ;;
    *06052b81040023*) echo ECDSA P-521 ;;
    *06052b8104000a*) echo ECDSA secp256k1 ;;
    *06082a8648ce3d030107*) echo ECDSA P-256 written in another way ;;
    *06072a8648ce3d0201*) echo ECDSA on another curve ;;
    *06032b656e*) echo X25519 ;;
    *06032b656f*) echo X448 ;;
    *06032b6571*) echo Ed448 ;;
    *) echo another kind of key ;;
    esac
}

# find_key hint|keyid VALUE: sets what the table says of a key; fails if it stands in no line.
find_key() {
    while read -r key_n key_algorithm key_fingerprint key_hint key_id; do
        case $1:$2 in "hint:$key_hint" | "keyid:$key_id") return ;; esac
    done <keys
    return 1
}

# key_name: the key that was found, as a person compares it.
key_name() {
    case $key_algorithm in P-256) printf 'ECDSA ' ;; esac
    printf '%s %s\n' "$key_algorithm" "$key_fingerprint"
}

# given_keys: the fingerprints of all, on one line.
given_keys() {
    awk '{ printf "%s%s", (NR > 1 ? ", " : ""), $3 }' keys
}

# --- stage 1: the tarball, rules (3) and (4) --------------------------------------------------------------------------------------------

# Takes the first bytes of the kit; prints where an empty gzip member may end: after its CRC and its length, both 0, another begins.
AWK_EMPTY_MEMBER='
{
    for (i = 1; i <= NF; i++) {
        if ($i == 139 && zeros_before_31 >= 8) printf "%.0f\n", at - 1
        zeros_before_31 = $i == 31 ? zeros : 0
        zeros = $i == 0 ? zeros + 1 : 0
        at++
    }
}
'

# decompress: rule (3), and rule (6) before the disk is full; leaves the archive in the file `tar`.
decompress() {
    # shellcheck disable=SC2046
    case $(printf '%s' $(od -An -v -tx1 -N 4 <"$kit")) in
    1f8b08[01]?) ;;
    '' | 1f | 1f8b | 1f8b08) refuse 6 kit 'truncated: it ends within the gzip header' "$WHOLE" ;;
    *) refuse 6 kit 'this is no gzip data' 'wanted KIT.tar.gz or a folder' ;;
    esac
    limit=$((MAX_DECOMPRESSED + 100 * $(size_of "$kit")))
    { gzip -dc <"$kit" 2>gzip.said || echo "$?" >gzip.code; } | head -c $((limit + 1)) >tar || disk_is_full
    tar_size=$(size_of tar)
    [ "$tar_size" -le "$limit" ] || refuse 6 kit "unpacks to more than $limit bytes" 'wanted less from such a file' # (6)
    [ ! -s gzip.said ] || case $(cat gzip.said) in
    *garbage*) refuse 6 kit 'bytes after the end of the gzip data' 'nothing may follow' ;;
    *end\ of\ file* | *short\ read*) refuse 6 kit 'truncated: the gzip data end early' "$WHOLE" ;;
    *) refuse 6 kit "damaged or truncated: $(shown <gzip.said)" 'wanted one gzip member' ;;
    esac
    [ ! -e gzip.code ] || end 1 "gzip failed with exit code $(cat gzip.code)"
    # shellcheck disable=SC2046
    set -- $(tail -c 4 <"$kit" | od -An -v -tu1)
    [ $(($1 + 256 * ($2 + 256 * ($3 + 256 * $4)))) -eq $((tar_size % 4294967296)) ] ||
        refuse 6 kit 'more gzip members than one, or bytes after it' 'nothing may follow'
    # The length at the end is right also after an empty member. Such a one ends in the first 64 KiB, or nothing comes out of those.
    [ "$(head -c 65536 <"$kit" | gzip -dc 2>/dev/null | head -c 1 | wc -c)" -eq 1 ] ||
        refuse 6 kit 'nothing unpacks from its first 65536 bytes' 'wanted one gzip member'
    od -An -v -tu1 -N 65536 <"$kit" | awk "$AWK_EMPTY_MEMBER" >ends
    while read -r size; do
        ! head -c "$size" <"$kit" | gzip -dc >/dev/null 2>&1 || refuse 6 kit 'more gzip members than one' 'nothing may follow'
    done <ends
}

# Walks through the headers of the file `tar`; writes the names into files.found and folders.found, «<first block of data> <size>
# <name>» into `first` and `rest`, and prints «<offset behind the end blocks> <root folder>». The blocks come from od, which is started
# anew for every leap.
AWK_WALK='
function wrong(file, found, wanted) { refused(file, found, wanted); exit }
function load(at,    i, k) { # one block into b, where a byte that is missing is 0, and the sum of its bytes
    if (at == place - 512 && place > 0) return # it is there
    if (at + 512 > size) wrong("kit", "truncated: the tar archive ends early", whole)
    if (at < place || at + 512 > edge || at > place + 65536) {
        if (reader != "") close(reader)
        edge = at + (at == place ? 1048576 : 2048) # more after a short way than after a leap, for what is not read costs as well
        reader = sprintf("exec od -An -v -tu1 -j %.0f -N %.0f tar 2>/dev/null", at, edge - at)
        place = at
    }
    for (; place < at; place += 16) if ((reader | getline) <= 0) exit 1
    split("", b)
    sum = 0
    for (i = 0; i < 512; i += 16) {
        if ((reader | getline) <= 0) exit 1
        if ($0 !~ /[1-9]/) continue # sixteen zeros
        if (NF != 16) exit 1
        for (k = 1; k <= 16; k++) { b[i + k - 1] = $k + 0; sum += $k }
    }
    place = at + 512
}
function letter(n) { return n > 32 && n < 127 ? char[n] : "?" } # no name has a «?»
function text(from, long,    i, t) { # filled up with NULs
    for (i = from; i < from + long && b[i] > 0; i++) t = t letter(b[i])
    for (; i < from + long; i++) {
        if (i % 16 == 0 && !(i in b)) i += 15 # sixteen zeros, which load did not keep
        else if (b[i] > 0) wrong("kit", "a tar header with bytes after a NUL, \"" t "\"", "wanted NULs")
    }
    return t
}
function octal(from, long, what,    i, n, end) { # at least one digit, then at least one space or NUL
    for (i = from; i < from + long && b[i] >= 48 && b[i] <= 55; i++) n = n * 8 + b[i] - 48
    end = i
    for (; i < from + long && (b[i] == 0 || b[i] == 32);) i++
    if (end == from || end == i || i < from + long) wrong("kit", "a tar header without an octal number as its " what, "wanted digits")
    return n
}
function read_header(    i, t, prefix) { # sets type, mode, bytes and path
    for (i = 257; i < 265; i++) t = t " " (b[i] + 0)
    if (t != " 117 115 116 97 114 0 48 48" && t != " 117 115 116 97 114 32 32 0")
        wrong("kit", "a tar header with another magic", "wanted ustar or GNU")
    for (i = 148; i < 156; i++) sum += 32 - b[i] # the sum is made with the field full of spaces
    if (octal(148, 8, "checksum") != sum) wrong("kit", "damaged: the checksum of a tar header is wrong", whole)
    path = text(0, 100)
    prefix = text(345, 155)
    if (prefix != "" && b[262] == 32) wrong("kit", "a GNU tar header with a prefix", "wanted zeros there")
    for (i = 500; i < 512; i++) if (b[i] > 0) wrong("kit", "a tar header with bytes at its end", "wanted zeros there")
    if (text(157, 100) != "") wrong(path, "a tar header with a link", "links are not allowed")
    if (prefix != "") path = prefix "/" path
    type = b[156] > 0 ? letter(b[156]) : "0"
    mode = octal(100, 8, "mode")
    bytes = octal(124, 12, "size")
}
function check_padding(at,    i) { # between the end of the data and the next header
    if (bytes % 512 == 0) return
    load(at + bytes - bytes % 512)
    for (i = bytes % 512; i < 512; i++) if (b[i] > 0) wrong("kit", "bytes between two members", "only zeros may stand there")
}
function read_record(at,    i) { # of the member that follows; sets its path
    if (recorded) wrong("kit", "a second name record before one member", "one is allowed")
    if (bytes > 4096) wrong("kit", sprintf("a name record of %.0f bytes", bytes), "at most 4096 are allowed")
    for (i = 0; i < bytes; i++) { if (i % 512 == 0) load(at + i); p[i] = b[i % 512] + 0 }
    recorded = 1
    if (type == "x") read_pax()
    else {
        for (i = 0; i < bytes && p[i] > 0; i++) new_path = new_path letter(p[i])
        if (i != bytes - 1) wrong("kit", "a GNU long name record without one NUL, at its end", "wanted a name and a NUL")
        named = 1
    }
}
function read_pax(    at, end, size, key, value, seen, i) {
    for (at = 0; at < bytes || at == 0; at = end) {
        size = key = value = ""
        for (i = at; i < at + 4 && i < bytes && p[i] >= 48 && p[i] <= 57; i++) size = size (p[i] - 48)
        end = at + size
        if (size !~ /^[1-9]/ || end > bytes || p[i] != 32) wrong("kit", "a broken pax record", "wanted <length> <key>=<value>")
        for (i++; i < end && p[i] != 61 && p[i] != 10; i++) key = key letter(p[i])
        if (key == "" || i >= end - 1 || p[i] != 61 || p[end - 1] != 10) wrong("kit", "a broken pax record", "wanted a key and a value")
        if (key !~ /^(path|mtime|atime|ctime)$/ || (key in seen))
            wrong("kit", "a pax record with the key \"" substr(key, 1, 80) "\"", "only path and times are allowed, each once")
        seen[key] = 1
        for (i++; i < end - 1; i++) value = value letter(p[i])
        if (key == "path") { new_path = value; named = 1 }
    }
}
function member(data,    name, folder, root_size) {
    if (++members > max_members) wrong("kit", "more than " max_members " members", "wanted fewer") # (6)
    if (type != "0" && type != "5") wrong(path, "a member of type \"" type "\"", "only files and folders are allowed, no links")
    folder = type == "5"
    if (folder ? mode != 493 : mode != 420 && mode != 493)
        wrong(path, sprintf("mode %04o", mode % 2097152), folder ? "wanted 0755" : "wanted 0644 or 0755")
    if (folder && bytes > 0) wrong(path, "a folder with bytes", "wanted none")
    if (folder) sub("/$", "", path)
    root_size = index(path "/", "/") - 1
    if (root == "" && path ~ /^concelier-lnm-[1-9][0-9][0-9][0-9]\.([1-9]|1[0-2])\.(0|[1-9][0-9]*)(\/|$)/ && root_size < 32)
        root = substr(path, 1, root_size)
    if (root == "" || substr(path, 1, root_size) != root || !folder && path == root)
        wrong(path, "its name is not below the root folder", "wanted one, concelier-lnm-<version>/")
    name = substr(path, root_size + 2)
    if (path != root && !check_name(name, path)) exit
    if (path in seen) wrong(name, "twice in the archive", "each name is allowed once")
    seen[path] = 1
    if ((envelope(name) || attestation(name)) && bytes > max_signed) # (6)
        wrong(name, sprintf("%.0f bytes", bytes), "at most " max_signed " are allowed here")
    if (!folder) {
        print name > "files.found"
        printf "%.0f %.0f %s\n", data / 512, bytes, name > (envelope(name) ? "first" : "rest")
    } else if (path != root) print name > "folders.found"
}
BEGIN {
    place = edge = 0
    for (i = 33; i < 127; i++) char[i] = sprintf("%c", i)
    for (at = 0; ; at += 512 + bytes + (512 - bytes % 512) % 512) {
        load(at)
        if (sum == 0) break
        read_header()
        if (type == "x" || type == "L") read_record(at + 512)
        else {
            if (named) path = new_path
            member(at + 512)
            recorded = named = 0
            new_path = ""
        }
        check_padding(at + 512)
    }
    if (recorded) wrong("kit", "a name record with no member after it", "wanted a member")
    load(at + 512)
    if (sum > 0) wrong("kit", "a single zero block among the members", "wanted two at the end")
    printf "%.0f %s\n", at + 1024, root
}
'

# open_tarball: stage 1 for a tarball; leaves `files`, `folders`, `first` and `rest` (what is to be unpacked) and root_version.
open_tarball() {
    decompress
    awk -v size="$tar_size" -v max_members="$MAX_MEMBERS" -v max_signed="$MAX_SIGNED_FILE" -v whole="$WHOLE" \
        "$AWK_NAMES$AWK_WALK" </dev/null >walk
    stop_if_refused 6
    read -r end root_version <walk
    root_version=${root_version#concelier-lnm-}
    [ "$(tail -c "+$((end + 1))" tar | tr -d '\000' | head -c 1 | wc -c)" -eq 0 ] ||
        refuse 6 kit 'bytes after the end of the tar archive' 'only zeros may follow'
    sort files.found >files
    sort folders.found >folders
    in_bytes=$(printf 'abcdef' | dd bs=64 iflag=skip_bytes,count_bytes skip=2 count=3 2>/dev/null || :)
    root=$work/unpacked
    signed=$work/unpacked
    mkdir unpacked
}

# unpack LIST: cuts the files of a list «<first block> <size> <name>» out of the archive; a dd that counts bytes does it in one go.
unpack() {
    [ -s "$1" ] || return 0
    if [ "$1" = rest ]; then # the envelope lies in no folder
        sed -n 's|^[0-9]* [0-9]* \(.*\)/[^/]*$|unpacked/\1|p' "$1" | sort -u >above
        [ ! -s above ] || xargs mkdir -p <above
    fi
    while read -r block size name; do
        if [ "$in_bytes" = cde ]; then
            dd if=tar of="unpacked/$name" bs=65536 iflag=skip_bytes,count_bytes skip=$((512 * block)) count="$size" 2>/dev/null
        else
            dd if=tar of="unpacked/$name" bs=512 skip="$block" count=$(((size + 511) / 512)) 2>/dev/null &&
                dd if=/dev/null of="unpacked/$name" bs=1 seek="$size" 2>/dev/null # cuts it to its size
        fi || disk_is_full
    done <"$1"
}

# --- stage 1: the folder, rule (2), and the tree of both, rule (5) ----------------------------------------------------------------------

# look FIND-EXPRESSION…: what there is in the folder.
look() {
    (cd "$kit" && find . "$@")
}

# none FOUND WANTED FIND-EXPRESSION…: notes a failure for everything in the folder for which the expression holds.
none() {
    what=$1 wanted=$2
    shift 2
    look "$@" >odd
    [ ! -s odd ] || tr -c ' -~\n' '?' <odd | awk -v what="$what" -v wanted="$wanted" "$AWK_NAMES"'
        { sub(/^\.\//, ""); refused($0 == "." ? "kit" : $0, what, wanted) }'
}

# open_folder: stage 1 for a folder; leaves `files` and `folders`, and copies of what is signed.
open_folder() {
    [ "$(look | head -n $((MAX_MEMBERS + 2)) | wc -l)" -le $((MAX_MEMBERS + 1)) ] ||
        refuse 6 kit "more than $MAX_MEMBERS files and folders" 'wanted fewer' # (6)
    { look -type d >folders.found && look -type f >files.found; } || refuse 6 kit 'a folder that cannot be read' 'wanted a readable kit'
    none 'a link' 'only files and folders are allowed' -type l
    none 'a special file' 'only regular files and folders are allowed' ! -type f ! -type d ! -type l
    none 'a mode that is set-id, sticky or writable by everybody' 'nothing may have such a mode' \
        ! -type l \( -perm -4000 -o -perm -2000 -o -perm -1000 -o -perm -0002 \)
    none 'a character in its name' 'wanted A-Z a-z 0-9 . _ + = @ - alone' -name '*[!A-Za-z0-9._+=@-]*'
    stop_if_refused 6
    look -type f -size "+${MAX_SIGNED_FILE}c" >big
    [ ! -s big ] || sed 's|^\./||' big | awk -v most="$MAX_SIGNED_FILE" "$AWK_NAMES"'
        envelope($0) || attestation($0) { refused($0, "more than " most " bytes", "at most that is allowed here") }' # (6)
    sed 's|^\./||' files.found | sort >files
    sed -n 's|^\./||p' folders.found | sort >folders
    root=$kit
    signed=$work/signed
    mkdir signed signed/attestations
    awk -v known="$STATEMENTS" "$AWK_NAMES"'envelope($0) || index(" " known " ", " " $0 " ")' files >copy
    stop_if_refused 6
    while read -r name; do
        cat "$root/$name" >"signed/$name" || refused "$name" 'cannot be read' 'wanted a file'
    done <copy
    stop_if_refused 6
}

# Takes the names of the files, then those of the folders.
AWK_TREE='
function clash(path,    other) {
    other = (tolower(path) in seen) ? seen[tolower(path)] : path
    if (other != path) refused(path, "differs from " other " by case alone", "such names are one on other systems")
    seen[tolower(path)] = path
}
{ check_name($0, $0) }
folder { if (!($0 in above)) refused($0, "an empty folder", "only folders with files in them are allowed"); next }
{
    clash($0)
    file[$0] = 1
    for (path = $0; sub("/[^/]*$", "", path) && !(path in above);) {
        above[path] = 1
        clash(path)
        if (++count > max_members) { refused("kit", "more than " max_members " folders", "wanted fewer"); exit } # (6)
    }
}
END {
    if (!NR) refused("kit", "empty, there is no file in it", "wanted an offline kit")
    for (path in file) if (path in above) refused(path, "a file and a folder", "only one of both is allowed")
}
'

# --- stage 2: rules (7), (8), (9) ----------------------------------------------------------------------------------------------------

# is_der BYTE…: whether an ECDSA signature is the DER of SEQUENCE{r, s}, each minimal and not below 0 (X.690 section 8.3).
is_der() {
    { [ $# -ge 8 ] && [ $# -le 72 ] && [ "$1" -eq 48 ] && [ "$2" -eq $(($# - 2)) ]; } || return
    shift 2
    for _ in r s; do
        { [ $# -ge 3 ] && [ "$1" -eq 2 ] && [ "$2" -ge 1 ] && [ "$2" -le 33 ] && [ $# -ge $(($2 + 2)) ]; } || return
        [ "$3" -le 127 ] || return
        { [ "$2" -eq 1 ] || [ "$3" -ne 0 ] || [ "$4" -ge 128 ]; } || return
        shift $(($2 + 2))
    done
    [ $# -eq 0 ]
}

# says LINE COMMAND…: whether a command ends well and says a line that begins so.
says() {
    line=$1
    shift
    said=$("$@" 2>&1) || return
    case "
$said" in
    *"
$line"*) ;;
    *) return 1 ;;
    esac
}

# verifies SIGNATURE MESSAGE: whether the key that was found made it; 0 < r, s < n and S < L are openssl's to see.
verifies() {
    case $key_algorithm in
    P-256)
        # shellcheck disable=SC2046
        is_der $(od -An -v -tu1 "$1") &&
            says 'Verified OK' openssl dgst -sha256 -verify "key.$key_n.pem" -signature "$1" "$2"
        ;;
    *)
        [ "$(size_of "$1")" -eq 64 ] &&
            says 'Signature Verified Successfully' openssl pkeyutl -verify -pubin -inkey "key.$key_n.pem" -rawin -in "$2" -sigfile "$1"
        ;;
    esac
}

# material: the end of a bundle, by the key that was found.
material() {
    printf '"verificationMaterial":{"publicKey":{"hint":"%s"},"tlogEntries":[]}}\n' "$key_hint"
}

# unknown_hint: refuses the bundle of SHA256SUMS, whose hint is that of no given key.
unknown_hint() {
    printf '%s' "$hint" >hint.b64
    decode hint.b64 hint
    { b64_of hint | cmp -s - hint.b64 && [ "$(size_of hint)" -eq 32 ]; } ||
        refuse 5 SHA256SUMS.sigstore.json 'another form of JSON, or none' 'wanted the one form of a Sigstore bundle'
    refuse 5 SHA256SUMS.sigstore.json "signed by key $(hex_of hint)" "the given keys are $(given_keys)"
}

# check_signature: stage 2; leaves signer, signer_name and digest, the SHA-256 of SHA256SUMS.
check_signature() {
    for name in $ENVELOPE; do
        [ -f "$signed/$name" ] || refused "$name" 'not in the kit' 'a signed kit has it'
    done
    stop_if_refused 5
    bundle=$signed/SHA256SUMS.sigstore.json
    hint=$(cut -d '"' -f 28 "$bundle" | head -c 100 | tr '\000' '?')
    find_key hint "$hint" || unknown_hint
    signer=$key_fingerprint
    signer_name=$(key_name)
    head -c 100 "$signed/SHA256SUMS.sig" | tr -d '\n' >sig.b64
    decode sig.b64 sig
    sig64=$(b64_of sig)
    printf '%s\n' "$sig64" | cmp -s - "$signed/SHA256SUMS.sig" ||
        refuse 5 SHA256SUMS.sig 'another form' 'wanted canonical base64 and one line end'
    verifies sig "$signed/SHA256SUMS" ||
        refuse 5 SHA256SUMS 'SHA256SUMS.sig does not verify over it' "wanted a signature by $signer_name"
    digest=$(sha256sum <"$signed/SHA256SUMS")
    digest=${digest%% *}
    {
        printf '{%s,"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"%s"},"signature":"%s"},' \
            "$MEDIA_TYPE" "$(echo "$digest" | awk "$AWK_BASE64"'{ print base64($1) }')" "$sig64"
        material
    } | cmp -s - "$bundle" ||
        refuse 5 SHA256SUMS.sigstore.json 'not the bundle of this list and this signature' 'wanted the one form of a Sigstore bundle'
}

# --- stages 3 and 4: rules (10), (11), (12) --------------------------------------------------------------------------------------------

# Takes SHA256SUMS and prints «<sha256> <name>» for every line that can be used.
AWK_SUMS='
function wrong(found, wanted) { refused("SHA256SUMS", "line " NR ": " found, wanted) }
function line_shown(    t) { t = substr($0, 1, 80); gsub(/[^ -~]/, "?", t); return t }
{
    name = substr($0, 67)
    if (length($0) < 67 || substr($0, 1, 64) ~ /[^0-9a-f]/ || substr($0, 65, 2) != "  " || name ~ /[^!-~]/)
        wrong("it reads \"" line_shown() "\"", "wanted <64 lower-case hex>, two spaces, <name>")
    else if (!check_name(name, "SHA256SUMS", "line " NR ": ")) next
    else if (envelope(name)) wrong("it names " name, "a file of the envelope is not listed")
    else if (name "" <= last "") wrong(name " comes after " last, "wanted ascending names, each once")
    else { print substr($0, 1, 64), name; last = name }
}
END {
    if (!NR) refused("SHA256SUMS", "no line in it", "wanted one for each file")
    if (NR > line_ends) refused("SHA256SUMS", "no line end after its last line", "wanted one")
}
'

# Takes the lines of SHA256SUMS, the names of all files, what sha256sum found, and the names of all files again.
AWK_FILES='
function brief(digest) { return substr(digest, 1, 12) "..." }
part == 1 { listed[$2] = $1; order[++n] = $2 }
part == 2 { there[$0] = 1 }
part == 3 { sum[substr($0, 69)] = substr($0, 1, 64) } # behind «  ./»
part == 4 && !($0 in listed) && !envelope($0) { refused($0, "in the kit", "SHA256SUMS does not list it") }
END {
    for (i = 1; i <= n; i++) {
        name = order[i]
        if (!(name in there)) refused(name, "not in the kit", "SHA256SUMS lists it")
        else if (!(name in sum)) refused(name, "cannot be read", "wanted a file")
        else if (sum[name] != listed[name]) refused(name, "its sha256 is " brief(sum[name]), "SHA256SUMS says " brief(listed[name]))
    }
}
'

# check_files: stages 3 and 4; leaves `listed`, the lines of SHA256SUMS with one space.
check_files() {
    line_ends=$(wc -l <"$signed/SHA256SUMS")
    tr '\000' '\001' <"$signed/SHA256SUMS" | awk -v line_ends="$line_ends" "$AWK_NAMES$AWK_SUMS" >listed
    awk 'part == 1 { listed[$2] = 1 } part == 2 && ($0 in listed) { print "./" $0 }' part=1 listed part=2 files >to_hash
    if [ -s to_hash ]; then
        (cd "$root" && xargs sha256sum <"$work/to_hash") >sums || : # what could not be read is not in `sums`
    else
        : >sums
    fi
    awk "$AWK_NAMES$AWK_FILES" part=1 listed part=2 files part=3 sums part=4 files
    stop_if_refused 6
}

# --- stage 5: canonical JSON (RFC 8785) and statements ---------------------------------------------------------------------------------

# Takes one object, split at quotation marks, so that every other record is the inside of a string; prints why it is not canonical.
AWK_JSON='
function bad(why) { if (!failed) print why; failed = 1; exit }
function mark(c) { # one of {}[]:, or something that must not stand between strings
    if (c == "{" || c == "[" && depth) {
        if (want !~ /value/) bad("a \"" c "\" where none may be")
        if (++depth > 99) bad("it is nested more than 100 deep") # the statement is around it
        kind[depth] = c; last[depth] = ""; keys[depth] = 0
        want = c == "{" ? "key or end" : "value or end"
    } else if ((c == "}" || c == "]") && depth && kind[depth] == (c == "}" ? "{" : "[") && want ~ /end/)
        want = --depth ? "comma or end" : "nothing"
    else if (c == "," && want ~ /comma/) want = kind[depth] == "{" ? "key" : "value"
    else if (c == ":" && want == "colon") want = "value"
    else bad("a \"" c "\" where none may be")
}
function word(w,    digits) {
    if (w == "") return
    digits = w
    sub(/^-/, "", digits)
    if (want !~ /value/ || !depth) bad("a word or number where none may be")
    if (w !~ /^(true|false|null|0|-?[1-9][0-9]*)$/ || length(digits) > 16 || length(digits) == 16 && digits "" > "9007199254740991")
        bad("\"" substr(w, 1, 40) "\", which is no word and no whole number below 2^53")
    want = "comma or end"
}
function string(s,    rest) {
    rest = s
    gsub(/\\(["\\bfnrt]|u000[0-7bef]|u001[0-9a-f])/, "", rest)
    if (index(rest, "\\")) bad("a string that has a shorter form")
    if (want ~ /value/ && depth) want = "comma or end"
    else if (want ~ /key/) {
        s = sortable(s)
        if (keys[depth]++ && s <= last[depth]) bad("members that do not ascend, or one twice")
        last[depth] = s; want = "colon"
    } else bad("a string where none may be")
}
function sortable(s,    i, t, c) { # a text that sorts as the key does by UTF-16 units, where U+E000 to U+FFFF come last
    gsub(/\357/, "\377", s)
    gsub(/\356/, "\376", s)
    if (!index(s, "\\")) return s ""
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c == "\\") {
            c = substr(s, ++i, 1)
            if (c == "u") { c = sprintf("%c", 16 * substr(s, i + 3, 1) + index("123456789abcdef", substr(s, i + 4, 1))); i += 4 }
            else if (c ~ /[bfnrt]/) c = substr("\b\f\n\r\t", index("bfnrt", c), 1)
        }
        t = t c
    }
    return t
}
BEGIN { RS = "\""; want = "value" }
inside {
    t = t $0
    if (match($0, /\\+$/) && RLENGTH % 2) t = t "\"" # the mark was escaped
    else { string(t); t = ""; inside = 0 }
    next
}
{
    for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        if (c ~ /[-+.0-9A-Za-z]/) t = t c
        else { word(t); t = ""; mark(c) }
    }
    word(t)
    t = ""
    inside = 1
}
END { if (!failed && want != "nothing") bad("it ends early") }
'

# Takes runs of bytes above 127, each ended by a line end; exit 1 unless they are UTF-8 (RFC 3629).
AWK_UTF8='
{
    for (i = 1; i <= NF; i++) {
        c = $i + 0
        if (more ? c < low || c > high : c != 10 && (c < 194 || c > 244)) exit 1
        if (more) { more--; low = 128; high = 191 }
        else {
            more = c == 10 ? 0 : c < 224 ? 1 : c < 240 ? 2 : 3
            low = c == 224 ? 160 : c == 240 ? 144 : 128
            high = c == 237 ? 159 : c == 244 ? 143 : 191
        }
    }
}
'

# check_json NAME FILE: whether FILE, a part of the signed file NAME, is one canonical object.
check_json() {
    tr -d '\040-\177' <"$2" >odd || return
    if [ -s odd ]; then
        [ "$(tr -d '\200-\377' <odd | wc -c)" -eq 0 ] || fault "$1" 'a control character in it' 'wanted canonical JSON' || return
        { tr -c '\200-\377' '\n' <"$2" && echo; } | tr -s '\n' | od -An -v -tu1 | awk "$AWK_UTF8" ||
            fault "$1" 'bytes that are not UTF-8' 'wanted canonical JSON' || return
    fi
    awk "$AWK_JSON" "$2" >why || return
    [ ! -s why ] || fault "$1" "$(tr '\n' ' ' <why | shown)" 'wanted canonical JSON'
}

# open_dsse NAME [FILE]: whether form, key and signature of a DSSE file are right; leaves `payload` and the key that was found.
open_dsse() {
    envelope=${2:-$signed/$1}
    cut -d '"' -f 4 "$envelope" | tr -d '\n' >payload.b64
    end=$(tail -c 300 "$envelope" | tr '\000' '?') # …"keyid":"<keyid>","sig":"<signature>"}]}
    keyid=${end%\"*\"*\"*\"*\"*} keyid=${keyid##*\"}
    sig=${end%\"*} sig=${sig##*\"}
    printf '%s' "$sig" >sig.b64
    decode payload.b64 payload
    decode sig.b64 sig
    {
        printf '{"payload":"' && b64_of payload
        printf '","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"%s","sig":"%s"}]}\n' "$keyid" "$(b64_of sig)"
    } | cmp -s - "$envelope" ||
        fault "$1" 'another form of JSON, or none' 'wanted the one form of a DSSE, canonical base64 in it' || return
    find_key keyid "$keyid" ||
        fault "$1" "signed by key $(printf '%s' "$keyid" | shown)" "the given keys are $(given_keys)" || return
    { printf 'DSSEv1 28 application/vnd.in-toto+json %s ' "$(size_of payload)" && cat payload; } >pae
    verifies sig pae || fault "$1" 'its signature does not verify' "wanted one by $(key_name)"
}

# check_statement NAME FILE TAIL: whether FILE, the signed file NAME or its payload, is a Statement that ends as the file TAIL; leaves
# its predicate in a file of that name.
check_statement() {
    tail_size=$(size_of "$3")
    size=$(($(size_of "$2") - ${#STATEMENT_HEAD} - tail_size))
    [ "$size" -gt 1 ] || fault "$1" 'too short' 'wanted an in-toto Statement v1' || return
    tail -c "+$((${#STATEMENT_HEAD} + 1))" "$2" | head -c "$size" >predicate
    if ! { printf '%s' "$STATEMENT_HEAD" && cat predicate "$3"; } | cmp -s - "$2"; then
        [ "$(head -c "${#STATEMENT_HEAD}" "$2" | tr '\000' '?')" = "$STATEMENT_HEAD" ] ||
            fault "$1" 'another beginning' "wanted $STATEMENT_HEAD" || return
        fault "$1" 'another predicate type, or other subjects' "wanted $(shown <"$3")..." || return
    fi
    check_json "$1" predicate
}

# --- stage 5: rule (13) --------------------------------------------------------------------------------------------------------------

# check_manifest_signatures: leaves signers.
check_manifest_signatures() {
    open_dsse manifest.dsse.json || stop 5
    [ "$key_fingerprint" = "$signer" ] ||
        refuse 5 manifest.dsse.json "signed by $(key_name)" "wanted the key of SHA256SUMS.sig, $signer_name"
    cmp -s payload "$signed/manifest.json" || refuse 5 manifest.json 'not the payload of manifest.dsse.json' 'wanted the same bytes'
    { printf '{"dsseEnvelope":' && tr -d '\n' <"$signed/manifest.dsse.json" && printf ',%s,' "$MEDIA_TYPE" && material; } |
        cmp -s - "$signed/manifest.sigstore.json" ||
        refuse 5 manifest.sigstore.json 'not the bundle of manifest.dsse.json' 'wanted the one form of a Sigstore bundle'
    signers=$signer_name
    awk "$AWK_NAMES"'envelope($0) && /^manifest\.[0-9a-f]+\.dsse\.json$/' files >further
    while read -r name; do
        open_dsse "$name" || stop 5
        sixteen=${name#manifest.}
        case $key_fingerprint in
        "${sixteen%.dsse.json}"*) ;;
        *) refuse 5 "$name" "signed by $(key_name)" 'wanted the key that the name tells' ;;
        esac
        case $signers in *"$key_fingerprint"*) refuse 5 "$name" "signed by $(key_name)" 'that key has signed already' ;; esac
        cmp -s payload "$signed/manifest.json" || refuse 5 "$name" 'its payload is not manifest.json' 'wanted the same bytes'
        signers="$signers, $(key_name)"
    done <further
}

# --- stage 5: rule (14) --------------------------------------------------------------------------------------------------------------

# check_predicate: refuses a predicate that has not exactly its members, each of its form; canonical JSON has one order and no blanks.
check_predicate() {
    name='"[A-Za-z0-9._+=@-]+"' # of at most 255 characters: that in the form would take grep longer than all else here together
    no_long_name='"(id|migration)":"[A-Za-z0-9._+=@-]{256}' # bare quotation marks: none of these is in a text
    text='"([] !#-[^-~]|\\["\\])+"' # printable; only a quotation mark and a backslash are escaped
    digest='"digest":"(sha256:)?[0-9a-f]{64}"'
    absent="\\{\"id\":$name,\"reason\":$text,\"status\":\"absent\"\\}"
    delivery="($absent|\\{$digest,\"id\":$name,\"migration\":$name,\"status\":\"ready\"\\})"
    part="($absent|\\{$digest,\"id\":$name(,\"migration\":($name|null))?,\"status\":\"ready\"\\})"
    form='^\{'
    while read -r member value; do
        form="$form\"$member\":$value"
    done <<END
channel "(edge|stable|airgap)",
created_at "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
deliveries \\[($delivery(,$delivery)*)?\\],
parts \\[($part(,$part)*)?\\],
rootHash "[0-9a-f]{64}",
source \\{"commit":(null|"[0-9a-f]{40}"),("note":$text,)?"state":"(clean|dirty|unknown)"\\},
trust "(dev|key|keyless)",
version "[1-9][0-9]{3}\\.([1-9]|1[0-2])\\.(0|[1-9][0-9]{0,8})"\\}\$
END
    ! { grep -Eq -e "$form" predicate && grep -Eqv -e "$no_long_name" predicate; } || return 0
    form=$(printf '%s' "$form" | sed 's/@-]+/@-]{1,255}/g')
    for member in version trust source rootHash parts deliveries created_at channel; do
        form=${form%"\"$member\":"*} # until what is left fits
        ! grep -Eq -e "$form" predicate || break
    done
    refuse 5 manifest.json "its predicate departs from its form at \"$member\"" 'docs/kit-format.md has the form'
}

# read_predicate: sets the plain members of the predicate, whose form is known; no string has a bare quotation mark in it.
read_predicate() {
    value='"\([^"]*\)"'
    source='{"commit":"\{0,1\}\([^",]*\).*"state":'$value'}'
    form='{"channel":'$value',"created_at":'$value',.*,"rootHash":'$value',"source":'$source',"trust":'$value',"version":'$value'}'
    plain=$(sed "s/^$form\$/\\1 \\2 \\3 \\4 \\5 \\6 \\7/" predicate)
    read -r channel created_at stated_root_hash commit state trust version <<END
$plain
END
}

# Takes the predicate, whose form is known; prints what a person reads of its lists. Whatever it looks for has a bare quotation mark.
AWK_LISTS='
function tell(list, shown, text,    item, seen, n, i, id, more, digest) {
    n = split(text, item, /[}],[{]"/)
    printf "checked: %s:%s", shown, n ? "" : " none"
    for (i = 1; i <= n; i++) {
        more = "\"" item[i]
        digest = match(more, /"digest":"(sha256:)?[0-9a-f]+"/) ? "sha256:" substr(more, RSTART + RLENGTH - 65, 64) : "absent"
        sub(/^.*"id":"/, "", more)
        id = more
        sub(/".*/, "", id)
        more = substr(more, length(id) + 2)
        if (id in seen) { refused("manifest.json", "its " list " name one thing twice", "wanted each once"); exit }
        seen[id] = 1
        print id, digest > list
        printf "%s %s", (i > 1 ? "," : ""), id
        if (sub(/^,"migration":"/, "", more)) { sub(/".*/, "", more); printf " ready (%s)", more }
        else if (sub(/^,"reason":"/, "", more)) { sub(/","status":"absent".*/, "", more); printf " absent (%s)", more }
        else printf " ready"
    }
    print ""
}
{
    split(time, t, /[-T:Z]/)
    leap = t[1] % 4 == 0 && (t[1] % 100 != 0 || t[1] % 400 == 0)
    days = t[2] == 2 ? 28 + leap : 30 + (t[2] + (t[2] > 7)) % 2
    split($0, part, /,"deliveries":\[|\],"parts":\[|\],"rootHash":"/)
    tell("deliveries", "deliveries", part[2])
    tell("parts", "other parts", part[3])
    if (t[1] < 1 || t[2] < 1 || t[2] > 12 || t[3] < 1 || t[3] > days || t[4] > 23 || t[5] > 59 || t[6] > 59)
        refused("manifest.json", "its created_at is " time, "wanted a time that exists")
}
'

# check_manifest: leaves version, root_hash and the lines `told` about its lists.
check_manifest() {
    {
        printf ',"predicateType":"https://stella-ops.org/attestations/offline-update/1","subject":['
        printf '{"digest":{"sha256":"%s"},"name":"SHA256SUMS"}' "$digest"
        awk '
            { printf ",{\"digest\":{\"sha256\":\"%s\"},\"name\":\"%s\"}", $1, $2 }
            $2 !~ /^attestations\// { print $1 "  " $2 > "listed.payload" }
            END { print "]}" }' listed
    } >subjects
    check_statement manifest.json "$signed/manifest.json" subjects || stop 5
    check_predicate
    read_predicate
    awk -v time="$created_at" "$AWK_NAMES$AWK_LISTS" predicate >told
    stop_if_refused 5
    root_hash=$(sha256sum <listed.payload)
    root_hash=${root_hash%% *}
    [ "$stated_root_hash" = "$root_hash" ] || refuse 5 manifest.json "its rootHash is $stated_root_hash" "wanted $root_hash"
    [ "$version" = "${root_version:-$version}" ] ||
        refuse 5 manifest.json "its version is $version" "wanted $root_version, as the root folder has it"
}

# --- stage 5: rule (15) --------------------------------------------------------------------------------------------------------------

# subject TYPE SHA256 NAME: the end of a statement about one thing.
subject() {
    printf ',"predicateType":"%s","subject":[{"digest":{"sha256":"%s"},"name":"%s"}]}\n' "$1" "$2" "$3"
}

# check_sbom NAME SBOM: whether the predicate that was left is the file SBOM without its line end.
check_sbom() {
    found=$({ cat predicate && echo; } | sha256sum)
    found=${found%% *}
    wanted=$(awk -v name="$2" '$2 == name { print $1 }' listed)
    [ "$found" = "$wanted" ] || fault "$1" "its predicate has sha256 $found" "$2 has ${wanted:-none, it is not listed}"
}

# --- stage 5: rule (16); the numbers are those of docs/kit-format.md -------------------------------------------------------------------

# values_in FILE MEMBER FORM: the texts of that form that a member has in an OCI document, one a line; they are believed when the
# document has been made from them and is the same.
values_in() {
    tr '\000,{}' '?\n\n\n' <"$1" | sed -n "s,^\"$2\":\"\\($3\\)\"\$,\\1,p"
}

# no_lead FILE: notes that it leads nowhere, and fails.
no_lead() {
    fault "$1" 'it does not lead to a signature and statements' 'docs/kit-format.md has its one form'
}

# blob FILE TYPE: takes a blob of the layout that is made; sets its digest `hex` and the text `at` of its descriptor.
blob() {
    hex=$(sha256sum <"$1") && bytes=$(size_of "$1") || return
    hex=${hex%% *}
    at="\"digest\":\"sha256:$hex\",\"mediaType\":\"$2\",\"size\":$bytes"
    printf '%s %s/blobs/sha256/%s\n' "$hex" "$layout" "$hex" >>made
}

# manifest BEFORE CONFIG LAYERS AFTER: a manifest, as a blob; BEFORE and AFTER are its further members.
manifest() {
    printf '{%s"config":{%s},"layers":[%s],"mediaType":"%s","schemaVersion":2%s}' "$1" "$2" "$3" "$MANIFEST" "$4" >document &&
        blob document "$MANIFEST"
}

# index DESCRIPTORS: an index, into the file `document`.
index() {
    printf '{"manifests":[%s],"mediaType":"%s","schemaVersion":2}' "$1" "$INDEX" >document
}

# legacy HISTORY DIGESTS LAYERS: what cosign 2 reads: a manifest that passes for that of an image (2 and 3, 6 and 7).
legacy() {
    {
        printf '{"architecture":"","config":{},"created":"%s","history":[%s],"os":"",' "$NO_TIME" "$1" &&
            printf '"rootfs":{"diff_ids":[%s],"type":"layers"}}' "$2"
    } >document && blob document application/vnd.oci.image.config.v1+json && manifest '' "$at" "$3" ''
}

# Takes what was made, «<sha256> <name>», and the lines of SHA256SUMS.
AWK_LAYOUT='
function wrong(name, found, wanted) { refused(name, found, wanted); failed = 1 }
part == 1 { wanted[$2] = $1; order[++n] = $2 }
part == 2 && index($2, layout "/") == 1 {
    there[$2] = 1
    if (!($2 in wanted)) wrong($2, "nothing leads to it", "wanted what the image and its statements need")
    else if (wanted[$2] != $1) wrong($2, "its bytes are others", "docs/kit-format.md has its one form")
}
END {
    for (i = 1; i <= n; i++) if (!(order[i] in there)) {
        wrong(order[i], "not in the kit", "the image or its statements lead to it")
        there[order[i]] = 1
    }
    exit failed
}
'

# close_layout DESCRIPTORS: whether the layout has an index of these, what was put into `made`, and nothing else.
close_layout() {
    index "$1" && sum=$(sha256sum <document) || return
    printf '%s %s/index.json\n' "${sum%% *}" "$layout" >>made
    sum=$(printf '{"imageLayoutVersion":"1.0.0"}' | sha256sum) || return
    printf '%s %s/oci-layout\n' "${sum%% *}" "$layout" >>made
    awk -v layout="$layout" "$AWK_NAMES$AWK_LAYOUT" part=1 made part=2 listed
}

# described ANNOTATIONS: the descriptor of the image in an index, with its names and a further annotation between them.
described() {
    printf '{"annotations":{"io.containerd.image.name":"%s:%s",%s%s"%s"},' "$IMAGE_NAME" "$version" "$1" "$REF_NAME" "$version"
    printf '"digest":"sha256:%s","mediaType":"%s","platform":{"architecture":"%s","os":"linux"},"size":%s}' \
        "$image_hex" "$MANIFEST" "${image##*-}" "$image_size"
}

# render_attestations: makes all of attestations/<image>/ but its index from the image, sig64, statement.1, statement.2, the key that
# was found and created_at; sets the `entries` of that index.
render_attestations() {
    : >made
    once="{\"created\":\"$NO_TIME\"}" signature="\"${COSIGN}signature\":"
    subject="{\"digest\":\"sha256:$image_hex\",\"mediaType\":\"$MANIFEST\",\"size\":$image_size}"
    blob simple application/vnd.dev.cosign.simplesigning.v1+json || return # 1
    legacy "$once" "\"sha256:$hex\"" "{\"annotations\":{$signature\"$sig64\"},$at}" || return # 2, 3
    entries=$(described "\"kind\":\"${COSIGN}image\",")
    entries="$entries,{\"annotations\":{\"kind\":\"${COSIGN}sigs\",$REF_NAME\"sha256-$image_hex.sig\"},$at}"
    printf '{}' >document && blob document application/vnd.oci.empty.v1+json || return # 8
    empty=$at digests='' layers='' referrers='' comma=''
    for type in "$PROVENANCE_TYPE" "$SPDX_TYPE"; do
        case $type in "$SPDX_TYPE") file=statement.2 ;; *) file=statement.1 ;; esac
        blob "$file" application/vnd.dsse.envelope.v1+json || return # 4, 5
        digests="$digests$comma\"sha256:$hex\"" layers="$layers$comma{\"annotations\":{$signature\"\",\"predicateType\":\"$type\"},$at}"
        { printf '{"dsseEnvelope":' && cat "$file" && printf ',%s,%s' "$MEDIA_TYPE" "$(material)"; } >document || return
        blob document "$BUNDLE" || return # 9, 10
        notes="\"annotations\":{\"dev.sigstore.bundle.content\":\"dsse-envelope\",\"dev.sigstore.bundle.predicateType\":\"$type\","
        notes="$notes\"org.opencontainers.image.created\":\"$created_at\"},\"artifactType\":\"$BUNDLE\","
        manifest "$notes" "$empty" "{$at}" ",\"subject\":$subject" || return # 11, 12
        referrers="$referrers$comma{$notes$at}" comma=,
    done
    legacy "$once,$once" "$digests" "$layers" || return # 6, 7
    entries="$entries,{\"annotations\":{\"kind\":\"${COSIGN}atts\",$REF_NAME\"sha256-$image_hex.att\"},$at}"
    index "$referrers" && blob document "$INDEX" || return # 13
    entries="$entries,{\"annotations\":{$REF_NAME\"sha256-$image_hex\"},$at},$referrers"
}

# open_image_statement NUMBER TYPE: whether the statement that stands there in `led` is of that type and about the image; leaves a copy,
# the predicate and the key that was found.
open_image_statement() {
    name=$folder/blobs/sha256/$(sed -n "$(($1 + 1))s/sha256://p" led)
    [ -f "$root/$name" ] || no_lead "$statements" || return
    { cat "$root/$name" >"statement.$1" && cat "statement.$1" && echo; } >dsse || return
    subject "$2" "$image_hex" "$IMAGE_NAME" >subjects
    open_dsse "$name" dsse && check_statement "$name" payload subjects
}

# Takes the parts of manifest.json, «<id> <digest, or absent>», and the lines about images; refuses a part that is not so.
AWK_IMAGE_PARTS='
part == 1 && index(" " images " ", " " $1 " ") { said[$1] = $2; found[$1] = "absent" }
part == 2 { found[$3] = substr($4, 1, 71) }
END {
    for (id in said) if (said[id] != found[id])
        refused("manifest.json", "its part " id " is " said[id], "in the kit it is " found[id])
}
'

# Takes the lines of SHA256SUMS; prints the images of which something is there that must not be there alone.
AWK_WITH_IMAGES='
BEGIN { n = split(images, image, " ") }
{
    for (i = 1; i <= n; i++)
        if (index($2, "attestations/" image[i] "/") == 1 || $2 == "images/" image[i] "/index.json" || $2 == "sbom/" image[i] ".spdx.json")
            there[i] = 1
}
END { for (i = 1; i <= n; i++) if (i in there) print image[i] }
'

# check_image: whether the image, its SBOM and its statements are all there, and are about one another.
check_image() {
    layout=images/$image folder=attestations/$image sbom=sbom/$image.spdx.json
    for name in "$layout/index.json" "$folder/index.json" "$sbom"; do
        [ -f "$root/$name" ] || fault "$name" 'not in the kit' "an image has its statements and SBOM, and they have $layout" || return
    done
    values_in "$root/$folder/index.json" digest "$DIGEST" >led
    { read -r image_hex && read -r signatures && read -r statements; } <led || no_lead "$folder/index.json" || return
    image_hex=${image_hex#*:} signatures=$folder/blobs/sha256/${signatures#*:} statements=$folder/blobs/sha256/${statements#*:}
    name=$layout/blobs/sha256/$image_hex
    { grep -Fqx -e "$image_hex $name" listed && image_size=$(size_of "$root/$name") && [ "$image_size" -le "$MAX_MANIFEST" ]; } ||
        fault "$folder/index.json" "it is about sha256:$image_hex" "wanted such a manifest as $name" || return
    { echo "sha256:$image_hex" && values_in "$root/$name" digest "$DIGEST"; } |
        sed "s,^sha256:\\(.*\\)\$,\\1 $layout/blobs/sha256/\\1," >made
    close_layout "$(described '')" || return

    [ -f "$root/$signatures" ] || no_lead "$folder/index.json" || return
    values_in "$root/$signatures" "${COSIGN}signature" '[A-Za-z0-9+/=]*' | head -c 200 | head -n 1 | tr -d '\n' >image.b64
    [ -s image.b64 ] || no_lead "$signatures" || return
    [ -f "$root/$statements" ] || no_lead "$folder/index.json" || return
    values_in "$root/$statements" digest "$DIGEST" >led
    open_image_statement 1 "$PROVENANCE_TYPE" || return
    image_key=$key_fingerprint
    open_image_statement 2 "$SPDX_TYPE" && check_sbom "$name" "$sbom" || return
    [ "$key_fingerprint" = "$image_key" ] ||
        fault "$name" "signed by $(key_name)" "wanted the key of the provenance, $image_key" || return
    decode image.b64 sig
    sig64=$(b64_of sig) # if the text was another, all that is made of this one has other bytes
    {
        printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":' "$IMAGE_NAME" &&
            printf '"sha256:%s"},"type":"cosign container image signature"},"optional":null}' "$image_hex"
    } >simple || return
    verifies sig simple ||
        fault "$signatures" "its signature does not verify over image $image sha256:$image_hex" "wanted one by $(key_name)" || return
    layout=$folder
    render_attestations && close_layout "$entries" || return
    printf 'checked: image %s sha256:%s: signature, provenance and SBOM statement are about it\n' "$image" "$image_hex" >>images
}

# check_attestations: refuses with everything that is wrong with the statements; leaves the lines `images` about what is right.
check_attestations() {
    awk -v known="$STATEMENTS" -v images="$IMAGES" "$AWK_NAMES"'
        attestation($2) && !index(" " known " ", " " $2 " ") {
            if (split($2, part, "/") < 3 || !index(" " images " ", " " part[2] " "))
                refused($2, "a statement that nobody here can check", "only " known " are known")
        }' listed
    good=0
    for name in $STATEMENTS; do
        case $name in
        */spdx.*) type=$SPDX_TYPE check=check_sbom ;;
        *) type=$PROVENANCE_TYPE check=: ;;
        esac
        subject "$type" "$root_hash" "concelier-lnm-$version" >subjects
        if [ ! -f "$signed/$name" ]; then
            refused "$name" 'not in the kit' 'every kit has it'
        elif open_dsse "$name" && check_statement "$name" payload subjects && "$check" "$name" sbom/lnm-kit.spdx.json; then
            good=$((good + 1))
        fi
    done
    awk -v images="$IMAGES" "$AWK_WITH_IMAGES" listed >with_images
    due=2
    while read -r image; do
        due=$((due + 1))
        ! check_image || good=$((good + 1))
    done <with_images
    stop_if_refused 5
    [ "$good" -eq "$due" ]
    awk -v images="$IMAGES" "$AWK_NAMES$AWK_IMAGE_PARTS" part=1 parts part=2 images
    stop_if_refused 5
}

# --- stage 5: rule (17); Sigstore bundle v0.3, Rekor v1, C2SP tlog-checkpoint ----------------------------------------------------------

# Takes what follows the head of a keyless file, and prints it anew if each of its fields has its form; what stands between the fields is
# compared by whoever calls it. A field is what lies between its mark, the next after the last one, and a quotation mark.
AWK_KEYLESS='
function go_behind(mark,    at) {
    at = index(left, mark)
    left = at ? substr(left, at + length(mark)) : ""
}
function field(mark,    at, t) {
    go_behind(mark)
    at = index(left, "\"")
    t = substr(left, 1, at - 1)
    left = at ? substr(left, at + 1) : ""
    return t
}
function bytes(t) { # base64 of something, canonical
    if (length(t) % 4 || t !~ "^[A-Za-z0-9+/]+([AEIMQUYcgkosw048]=|[AQgw]==)?$") failed = 1
    return "\"" t "\""
}
function digest(t) { # of 32 bytes
    if (length(t) != 44 || t !~ /[^=]=$/) failed = 1
    return bytes(t)
}
function number(t) {
    if (length(t) > 19 || t !~ /^(0|[1-9][0-9]*)$/) failed = 1
    return "\"" t "\""
}
function checkpoint(t,    line, n, i, blank, at) { # origin, size, root, other lines, none, a line a signature
    n = split(t, line, "[\\\\]n")
    if (line[1] == "" || line[n] != "" || index(line[1], dash)) failed = 1
    number(line[2])
    digest(line[3])
    for (i = 1; i < n; i++) {
        if (line[i] == "" && !blank && i > 3) { blank = i; continue }
        if (blank) {
            if (index(line[i], dash) != 1) failed = 1
            line[i] = substr(line[i], length(dash) + 1)
            at = index(line[i], " ")
            if (at < 2) failed = 1
            bytes(substr(line[i], at + 1))
        }
        if (line[i] == "" || line[i] ~ /[^ -~]/ || index(line[i], "\\")) failed = 1
    }
    if (!blank || blank > n - 2) failed = 1
    return "\"" t "\""
}
function hashes(    t, comma) { # as many as there are
    for (; substr(left, 1, 1) == "\""; comma = ",") {
        t = t comma digest(field("\""))
        if (substr(left, 1, 1) == ",") left = substr(left, 2)
    }
    return t
}
function log_entry(    t) {
    t = "[{\"canonicalizedBody\":" bytes(field("\"canonicalizedBody\":\""))
    t = t ",\"inclusionPromise\":{\"signedEntryTimestamp\":" bytes(field("\"signedEntryTimestamp\":\"")) "}"
    t = t ",\"inclusionProof\":{\"checkpoint\":{\"envelope\":" checkpoint(field("\"envelope\":\"")) "}"
    go_behind("\"hashes\":[")
    return t ",\"hashes\":["
}
BEGIN { dash = "\342\200\224 " }
NR == 1 {
    left = "\"" $0
    t = substr(bytes(field("\"")), 2) close_with
    t = t ",\"verificationMaterial\":{\"certificate\":{\"rawBytes\":" bytes(field("\"rawBytes\":\"")) "}"
    t = t ",\"timestampVerificationData\":{\"rfc3161Timestamps\":["
    if (index(left, "\"signedTimestamp\":"))
        t = t "{\"signedTimestamp\":" bytes(field("\"signedTimestamp\":\"")) "}"
    t = t "]},\"tlogEntries\":" log_entry() hashes() "]"
    t = t ",\"logIndex\":" number(field("\"logIndex\":\""))
    t = t ",\"rootHash\":" digest(field("\"rootHash\":\""))
    t = t ",\"treeSize\":" number(field("\"treeSize\":\"")) "}"
    t = t ",\"integratedTime\":" number(field("\"integratedTime\":\""))
    t = t ",\"kindVersion\":{\"kind\":\"" kind "\",\"version\":\"0.0.1\"}"
    t = t ",\"logId\":{\"keyId\":" digest(field("\"keyId\":\"")) "}"
    t = t ",\"logIndex\":" number(field("\"logIndex\":\"")) "}]}}"
    if (!failed) print t
}
'

# check_keyless_file NAME ABOUT KIND CLOSE: refuses a keyless file that has not the head in the file `head`, or not its one form.
check_keyless_file() {
    file=$signed/$1 head_size=$(size_of head)
    [ "$(size_of "$file")" -le $((head_size + MAX_KEYLESS)) ] ||
        refuse 5 "$1" "$(size_of "$file") bytes" "at most $((head_size + MAX_KEYLESS)) are allowed"
    head -c "$head_size" "$file" | cmp -s - head ||
        refuse 5 "$1" "it is not about this $2, or not in its one form" 'wanted both'
    tail -c "+$((head_size + 1))" "$file" | tr '\000' '?' | awk -v kind="$3" -v close_with="$4" "$AWK_KEYLESS" >rest
    cat head rest | cmp -s - "$file" ||
        refuse 5 "$1" 'not in the one form of a keyless bundle' 'wanted a signature, a certificate and one entry of a Rekor v1 log, canonical'
}

# check_keyless: leaves `identity`, whether there are keyless files.
check_keyless() {
    identity=no
    for name in $KEYLESS; do
        [ ! -f "$signed/$name" ] || identity=yes
    done
    [ "$identity" = yes ] || [ "$trust" = keyless ] || return 0
    for name in $KEYLESS; do
        [ -f "$signed/$name" ] || refused "$name" 'not in the kit' 'wanted both keyless files, or another trust and none'
    done
    stop_if_refused 5
    printf '{%s,"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"%s"},"signature":"' \
        "$MEDIA_TYPE" "$(sha256sum <"$signed/SHA256SUMS" | awk "$AWK_BASE64"'{ print base64($1) }')" >head
    check_keyless_file SHA256SUMS.keyless.sigstore.json SHA256SUMS hashedrekord '}'
    {
        printf '{"dsseEnvelope":{"payload":"' && b64_of "$signed/manifest.json"
        printf '","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"'
    } >head
    check_keyless_file manifest.keyless.sigstore.json manifest.json dsse "}]},$MEDIA_TYPE"
}

# --- the whole -------------------------------------------------------------------------------------------------------------------------

# main KEY KIT: the stages in their order. That it is called in the last line means that all of this file has been read.
main() {
    heard=yes
    (: >&2) || exec 2>/dev/null
    (: >&1) 2>/dev/null || { exec >/dev/null && heard=no; }
    exec 3>&2
    trap finish EXIT
    trap 'end 130 interrupted' INT TERM HUP
    trap 'end 1 "standard output is gone"' PIPE
    if [ $# -ne 2 ]; then
        tell "refused: arguments: $# of them, wanted two: sh verify.sh KEY.pub KIT.tar.gz|FOLDER"
        tell 'next: give the public key of the publisher, received by another way than the kit, and then the kit'
        verdict=2
        exit 2
    fi
    for tool in awk cat cmp cut dd find grep gzip head mkdir mktemp od openssl rm rmdir sed sha256sum sort tail tr wc xargs; do
        command -v "$tool" >/dev/null || end 1 "the tool $tool is not here"
    done
    case $(openssl version) in
    'OpenSSL 0.'* | 'OpenSSL 1.0'* | 'OpenSSL 1.1.0'*) end 1 "$(openssl version) is too old, use OpenSSL 1.1.1 or newer, or verify_kit.py" ;;
    esac

    key=$1 kit=$2
    case $key in /*) ;; *) key=$PWD/$key ;; esac
    case $kit in /*) ;; *) kit=$PWD/$kit ;; esac
    make_private_folder || end 1 'no private folder can be made with mktemp -d'
    cd "$work"
    exec 2>noise
    : >failures
    : >keys
    for name in first rest files.found folders.found listed.payload parts images; do : >"$name"; done

    # stage 0
    case ${#1}:$1 in
    ???*:* | *:*[!A-Za-z0-9._/-]*) key_shown=$(printf '%s' "$1" | shown) ;;
    *) key_shown=$1 ;;
    esac
    read_keys "$1"
    exec </dev/null
    { [ -n "$2" ] && [ -e "$kit" ]; } || refuse 4 "$(printf '%s' "$2" | shown)" 'no such kit' 'wanted KIT.tar.gz or a folder'

    # stage 1
    root_version=
    if [ -d "$kit" ]; then
        open_folder
    else
        [ -f "$kit" ] || refuse 6 kit 'neither a folder nor a file' 'wanted KIT.tar.gz or a folder'
        [ -r "$kit" ] || refuse 6 kit 'cannot be read' 'wanted a readable kit'
        open_tarball
    fi
    awk -v max_members="$MAX_MEMBERS" "$AWK_NAMES$AWK_TREE" files folder=1 folders
    stop_if_refused 6

    # stage 2; before it, nothing but the envelope is cut out of a tarball
    unpack first
    check_signature

    # stages 3 and 4
    unpack rest
    check_files

    # stage 5
    check_manifest_signatures
    check_manifest
    check_attestations
    check_keyless

    {
        printf 'checked: SHA256SUMS is signed by %s\n' "$signer_name"
        printf 'checked: %s files have the sha256 that is listed, none is missing, none was added\n' "$(($(wc -l <listed)))"
        printf 'checked: manifest.json is signed by %s\n' "$signers"
        printf 'checked: 2 statements are about this kit: %s\n' "$STATEMENTS"
        cat images
        printf 'checked: source commit %s (%s)\n' "$commit" "$state"
        printf 'checked: channel %s, trust %s, made %s\n' "$channel" "$trust" "$created_at"
        cat told
        [ "$identity" = no ] || printf 'identity signature: not checked here\n'
        [ "$trust" != dev ] || printf 'warning: this kit was signed with a development key or log; it is not for production\n'
        printf 'verified: concelier-lnm-%s rootHash %s\n' "$version" "$root_hash"
    } >report
    if [ "$heard" = no ] || ! cat report; then
        end 1 'standard output cannot be written, the verdict did not get through'
    fi
    verdict=0
}

main "$@"
