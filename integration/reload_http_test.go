//go:build unix

package integration

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestReloadTokens gives out a token, takes it back, and makes a mistake.
func TestReloadTokens(t *testing.T) {
	t.Parallel()
	tokens := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(tokens, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	of := func(token string) string { return fmt.Sprintf("admin %x %s\n", sha256.Sum256([]byte(token)), token) }
	write(of("old"))
	f := newSettingsFile(t, "spoked.toml")
	f.write("http-token-file = '" + tokens + "'")
	s := startServer(t, spokedPath(t), "--config", f.path, "--http", "127.0.0.1:0")
	awaitLog(t, s, "listening")
	address := regexp.MustCompile(`"http": "([^"]+)"`).FindStringSubmatch(s.Stderr())
	if address == nil {
		t.Fatalf("got log %q, want an address of HTTP", s.Stderr())
	}
	want := func(token string, status int) {
		t.Helper()
		r, err := http.NewRequest("GET", "http://"+address[1]+"/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.StatusCode; got != status {
			t.Errorf("with the token %q: got status %d, want %d", token, got, status)
		}
	}
	want("old", http.StatusOK)
	want("new", http.StatusUnauthorized)

	write(of("new"))
	reload(t, s, "reloaded the tokens", "no setting has changed")
	want("old", http.StatusUnauthorized)
	want("new", http.StatusOK)

	write("admin nonsense x\n")
	reload(t, s, "not reloaded", "tokens: ")
	want("new", http.StatusOK)

	other := tokens + ".other"
	if err := os.WriteFile(other, []byte(of("old")), 0o600); err != nil {
		t.Fatal(err)
	}
	f.write("http-token-file = '" + other + "'")
	reload(t, s, `reloaded  {"setting": "http-token-file"`, "reloaded the tokens")
	want("old", http.StatusOK)
	want("new", http.StatusUnauthorized)
}
