package language

import (
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/glint-infra/glint"
)

func parseWhole(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
func showWhole(n int64) string           { return strconv.FormatInt(n, 10) }

var (
	formName = &Form{"a name", `lower-case letters, digits and "-", a letter first and no "-" last, at most ` + strconv.Itoa(glint.MaxName) + ` long`, checkName}
	formHost = &Form{"a host name", `a host name in lower case, such as "shop.example.org"`, checkHost}
	// POSIX.1-2017, 8.1: portable names of environment variables; lower case is common in practice.
	formEnv = &Form{"the name of an environment variable", `letters, digits and "_", no digit first`, checkEnv}
	formAbs = &Form{"a clean absolute path", `an absolute path without "..", "//" or a final "/", such as "/data"`, checkAbs}
	formTo  = &Form{"a clean absolute path", `an absolute path without ".." or "//", such as "/app/web"; with a final "/": the folder to copy into`, checkTo}
	// The sealer takes what lies beneath the declaration's folder, and patterns of path.Match.
	formFrom = &Form{"a path beneath this folder", `a path beneath the folder of glint.hcl, such as "bin/web"`, checkFrom}
	formMode = &Form{"a file mode", `permissions in octal, such as "0755"`, checkMode}
	// Debian Policy Manual 5.6.7.
	formPackage = &Form{"a package name", `the name of a Debian package, such as "redis-server", without a version`, checkPackage}
	formReason  = &Form{"a reason", `a reason in one line, at most ` + strconv.Itoa(maxReason) + ` bytes long, such as "it holds a game for hours"`, checkReason}
	formURL     = &Form{"a path to ask for", `a path that begins with "/", such as "/healthz"`, checkURL}
)

// maxReason bounds a reason in bytes: it is shown in one line beside what it explains.
const maxReason = 200

func checkReason(s string) (string, bool) {
	return "", strings.TrimSpace(s) != "" && len(s) <= maxReason && utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func checkName(s string) (string, bool) {
	if glint.ValidName(s) {
		return "", true
	}
	mended := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(s), "-")
	mended = strings.Trim(strings.TrimLeft(mended, "-0123456789"), "-")
	if len(mended) > glint.MaxName {
		mended = strings.Trim(mended[:glint.MaxName], "-")
	}
	return mended, false
}

var (
	// RFC 1123, 2.1: letters, digits and hyphens, no hyphen first or last, 63 bytes a label.
	hostPattern    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	lastDigits     = regexp.MustCompile(`(^|\.)[0-9]+$`) // an IP address, or what RFC 1123 keeps apart from one
	envPattern     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	modePattern    = regexp.MustCompile(`^0?[0-7]{3}$`)
	packagePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,127}$`)
	urlPattern     = regexp.MustCompile(`^/[!-"$-~]*$`) // printable ASCII without space and "#"
)

const maxHost = 253 // bytes of a host name (RFC 1035, 2.3.4, without the final dot)

func checkHost(s string) (string, bool) {
	if hostPattern.MatchString(s) && len(s) <= maxHost && !lastDigits.MatchString(s) {
		return "", true
	}
	mended := strings.ToLower(strings.TrimSpace(s))
	if _, after, ok := strings.Cut(mended, "://"); ok {
		mended = after
	}
	mended, _, _ = strings.Cut(mended, "/")
	mended, _, _ = strings.Cut(mended, ":")
	mended = strings.Trim(strings.TrimPrefix(mended, "*."), ".")
	if mended == s || !hostPattern.MatchString(mended) || lastDigits.MatchString(mended) {
		mended = ""
	}
	return mended, false
}

func checkEnv(s string) (string, bool) {
	if envPattern.MatchString(s) {
		return "", true
	}
	mended := regexp.MustCompile(`[^A-Za-z0-9_]`).ReplaceAllString(s, "_")
	if !envPattern.MatchString(mended) {
		mended = ""
	}
	return mended, false
}

func checkAbs(s string) (string, bool) {
	switch {
	case strings.HasPrefix(s, "/") && path.Clean(s) == s && s != "/" && len(s) < 4096 && plain(s): // PATH_MAX
		return "", true
	case strings.HasPrefix(s, "/") && path.Clean(s) != "/" && plain(s):
		return path.Clean(s), false
	}
	return "", false
}

func checkTo(s string) (string, bool) {
	if s == "/" {
		return "", true
	}
	mended, ok := checkAbs(strings.TrimSuffix(s, "/"))
	return mended, ok
}

func checkFrom(s string) (string, bool) {
	clean := path.Clean(s)
	if s != "" && fs.ValidPath(clean) && plain(s) && len(s) < 4096 {
		return "", true
	}
	return "", false
}

// plain reports whether a path holds nothing that a mount table or a terminal would stumble over.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

func checkMode(s string) (string, bool)    { return "", modePattern.MatchString(s) }
func checkPackage(s string) (string, bool) { return "", packagePattern.MatchString(s) }
func checkURL(s string) (string, bool) {
	if !strings.HasPrefix(s, "/") && urlPattern.MatchString("/"+s) {
		return "/" + s, false
	}
	return "", len(s) <= 2048 && urlPattern.MatchString(s)
}
