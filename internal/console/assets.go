package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets pages
var files embed.FS

// assets are the files that pages refer to. Their addresses have a version in
// them, so that a browser may keep them for ever.
type assets struct {
	version string
	files   map[string]asset
}

type asset struct {
	kind   string // Content-Type
	plain  []byte
	zipped []byte // nil if it would not be shorter
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	sum := sha256.New()
	err := fs.WalkDir(files, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(b), b)
		f := asset{kind: kindOf(name), plain: b}
		if z := zip(b, gzip.BestCompression); len(z) < len(b) {
			f.zipped = z
		}
		a.files[strings.TrimPrefix(name, "assets/")] = f
		return nil
	})
	a.version = hex.EncodeToString(sum.Sum(nil))[:12]
	return a, err
}

// kindOf returns the content type of a file, whatever the system says of its
// name.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case "":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.PathValue("version") == a.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	f.send(w, r)
}

func (a *assets) icon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	f := a.files["icon.svg"]
	f.send(w, r)
}

func (f *asset) send(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	w.Header().Add("Vary", "Accept-Encoding")
	b := f.plain
	if f.zipped != nil && takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		b = f.zipped
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_, _ = w.Write(b)
}

// takesGzip reports whether who asks can read gzip.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

func zip(b []byte, level int) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, level) // the level is right
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// shortest is how long an answer is that is worth compressing.
const shortest = 1400

// writeZipped writes an answer, compressed if that is understood and worth it.
func writeZipped(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	w.Header().Add("Vary", "Accept-Encoding")
	if len(b) >= shortest && takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		b = zip(b, gzip.BestSpeed)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendPatience))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
