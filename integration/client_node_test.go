//go:build unix

package integration

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
)

// TestNodeClient has node-beanstalk, the client that most programs for Node.js
// use, make every call it has; see testdata/node/client.js.
func TestNodeClient(t *testing.T) {
	t.Parallel()
	dir := installNode(t)
	eachServer(t, func(t *testing.T, s *server) {
		_, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := runIn(t, dir, "node", "client.js", port); err != nil {
			t.Errorf("client.js: %v\n%s", err, out)
		}
	})
}

// installNode returns a directory with client.js and what it needs, from the
// npm registry.
func installNode(t *testing.T) (dir string) {
	t.Helper()
	_, noNode := exec.LookPath("node")
	_, noNPM := exec.LookPath("npm")
	if err := errors.Join(noNode, noNPM); err != nil {
		t.Skip("no Node.js to run a client with (apt-get install nodejs npm): ", err)
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	if out, err := runIn(t, dir, "npm", "ping", "--fetch-retries=0"); err != nil {
		t.Skipf("the npm registry does not answer: %v\n%s", err, out)
	}
	if out, err := runIn(t, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

// runIn runs a command in a directory and returns all it has said.
func runIn(t *testing.T, dir, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}
