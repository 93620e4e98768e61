package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

// normalise copies the tar of a fresh Debian without what differs from one build to the next, what comes from the
// building host, and what only a person or a package manager reads. It returns the packages in it, as name=version.
//
// The list of packages, their files and their licences stay: whoever asks what is inside can find out.
func normalise(w *tar.Writer, r *tar.Reader) (packages []string, err error) {
	needed := map[string]bool{"etc/hostname": true, "etc/hosts": true, "etc/resolv.conf": true} // mounted over at run time
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading what mmdebstrap made: %w", err)
		}
		name, err := cleanName(h.Name)
		if err != nil {
			return nil, err
		}
		if name == "." || unwanted(name, h.Typeflag) {
			continue
		}
		if needed[name] {
			delete(needed, name)
			err = writeEmpty(w, name)
		} else if name == "var/lib/dpkg/status" {
			packages, err = writeStatus(w, r, h)
		} else {
			err = writeSame(w, r, h, name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range []string{"etc/hostname", "etc/hosts", "etc/resolv.conf"} {
		if !needed[name] {
			continue
		}
		if err := writeEmpty(w, name); err != nil {
			return nil, err
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("mmdebstrap made no Debian: there is no list of packages in it")
	}
	return packages, w.Close()
}

func writeEmpty(w *tar.Writer, name string) error {
	return w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, ModTime: Epoch})
}

func writeSame(w *tar.Writer, r io.Reader, h *tar.Header, name string) error {
	same := tar.Header{Name: name, Linkname: h.Linkname, Typeflag: h.Typeflag, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, Size: h.Size, ModTime: Epoch}
	switch h.Typeflag {
	case tar.TypeDir:
		same.Name += "/"
	case tar.TypeLink:
		target, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		same.Linkname = target
	}
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			if same.PAXRecords == nil {
				same.PAXRecords = map[string]string{}
			}
			same.PAXRecords[key] = value
		}
	}
	if err := w.WriteHeader(&same); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}

// maxStatus is the size in bytes of the largest list of packages; one of 3,000 packages has 4 MB.
const maxStatus = 64 << 20

func writeStatus(w *tar.Writer, r io.Reader, h *tar.Header) ([]string, error) {
	if h.Size > maxStatus {
		return nil, fmt.Errorf("%w: larger than %s", glint.ErrInvalid, glint.Bytes(maxStatus))
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return installed(text), writeSame(w, bytes.NewReader(text), h, "var/lib/dpkg/status")
}

// installed reads dpkg's list of packages (deb-control(5), dpkg-query(1)).
func installed(status []byte) []string {
	var list []string
	var name, version string
	ok := false
	end := func() {
		if ok && name != "" {
			list = append(list, name+"="+version)
		}
		name, version, ok = "", "", false
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	lines.Buffer(nil, maxStatus)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "":
			end()
		case "Package":
			name = value
		case "Version":
			version = value
		case "Status":
			ok = strings.HasSuffix(value, " installed")
		}
	}
	end()
	slices.Sort(list)
	return list
}

// contentless are folders of which only the folders are kept.
var contentless = []string{"var/cache", "var/log", "var/backups", "var/lib/apt"}

// empty are folders of which nothing beneath them is kept.
var empty = []string{"dev", "proc", "sys", "run", "tmp", "var/tmp", "var/cache/apt", "var/lib/apt/lists", "var/lib/dpkg/updates",
	"etc/apt/sources.list.d", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/linda", "usr/share/locale", "usr/share/gnome/help", "usr/share/omf"}

// unwantedFiles are left out wherever a Debian has them.
var unwantedFiles = []string{
	"etc/machine-id", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/urandom/random-seed", // one host's own
	"etc/ssh/ssh_host_*", "etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem", // secrets made at installation
	"etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
	"etc/apt/sources.list", "etc/apt/apt.conf.d/*mmdebstrap", "etc/dpkg/dpkg.cfg.d/*mmdebstrap", // the building host's mirror
	"var/lib/dpkg/*-old", "var/lib/dpkg/available", "var/lib/dpkg/lock*", "var/lib/dpkg/triggers/Lock", "var/lib/systemd/catalog/database",
}

// unwanted reports whether an entry is left out of a base layer.
func unwanted(name string, typ byte) bool {
	if typ == tar.TypeChar || typ == tar.TypeBlock || strings.HasSuffix(name, ".pyc") {
		return true
	}
	parts := strings.Split(name, "/")
	if slices.Contains(parts, "__pycache__") {
		return true
	}
	for i := 1; i < len(parts); i++ {
		dir := strings.Join(parts[:i], "/")
		if slices.Contains(empty, dir) || typ != tar.TypeDir && slices.Contains(contentless, dir) {
			return true
		}
	}
	if len(parts) > 4 && strings.HasPrefix(name, "usr/share/doc/") { // usr/share/doc/PACKAGE/FILE
		return path.Base(name) != "copyright"
	}
	return slices.ContainsFunc(unwantedFiles, func(pattern string) bool {
		ok, _ := path.Match(pattern, name) // the patterns are ours
		return ok
	})
}
