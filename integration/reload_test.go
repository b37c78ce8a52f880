//go:build unix

package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"spoked/internal/config"
)

// settingsFile is a file of settings that a test writes again and again.
type settingsFile struct {
	t    *testing.T
	path string
}

func newSettingsFile(t *testing.T, name string) *settingsFile {
	return &settingsFile{t, filepath.Join(t.TempDir(), name)}
}

func (f *settingsFile) write(lines ...string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// reload has s read its file again, and waits for each of these in the log, of which
// it returns what has come since.
func reload(t *testing.T, s *server, want ...string) (logged string) {
	t.Helper()
	begin := len(s.Stderr())
	s.signal(t, syscall.SIGHUP)
	await(t, func() error {
		logged = s.Stderr()[begin:]
		for _, text := range want {
			if !strings.Contains(logged, text) {
				return fmt.Errorf("got log %q, want %q", logged, text)
			}
		}
		return nil
	})
	return logged
}

// TestReload changes the settings of a server that is connected to, and writes
// mistakes.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			f := newSettingsFile(t, "spoked.toml")
			f.write("max-job-size = 3")
			s := startServer(t, spokedPath(t), append(strings.Fields(args), "--config", f.path, "--metrics-tubes", "7")...)
			c := connect(t, s)
			c.ask("put 0 0 60 4\r\nfour\r\n", "JOB_TOO_BIG\r\n")

			f.write("# more", "max-job-size = 4", "metrics-tubes = 1")
			logged := reload(t, s, fmt.Sprintf(`reloaded  {"setting": "max-job-size", "old": 3, "new": 4, "from": "%s:2"}`, f.path))
			if strings.Contains(logged, "metrics-tubes") {
				t.Errorf("got log %q, but a flag beats the file", logged)
			}
			c.ask("put 0 0 60 4\r\nfour\r\nput 0 0 60 5\r\n12345\r\n", "INSERTED 1\r\nJOB_TOO_BIG\r\n")
			awaitStats(c, stats{"max-job-size": "4"})

			// A body on its way is of before.
			c.send("put 0 0 60 4\r\nfo")
			awaitStats(connect(t, s), stats{"cmd-put": "4"})
			f.write("max-job-size = 2")
			reload(t, s, `"old": 4, "new": 2`)
			c.ask("ur\r\nput 0 0 60 3\r\n123\r\nput 0 0 60 2\r\n12\r\n", "INSERTED 2\r\nJOB_TOO_BIG\r\nINSERTED 3\r\n")

			// A mistake changes nothing.
			f.write("max-job-size = 9", "prot = 1", "loops = 0")
			reload(t, s, f.path+":2: unknown key: prot (did you mean port?)", f.path+":3: loops: invalid number: 0")
			f.write("max-job-size")
			reload(t, s, "not reloaded", f.path+":1: ")
			if err := os.Remove(f.path); err != nil {
				t.Fatal(err)
			}
			reload(t, s, "not reloaded", f.path+": no such file or directory")
			c.ask("put 0 0 60 3\r\n123\r\n", "JOB_TOO_BIG\r\n")

			// What needs a restart is told of until the file says otherwise.
			for range 2 {
				f.write("max-job-size = 2", "user = 'nobody'", "journal = '/nowhere'")
				logged := reload(t, s, `needs a restart  {"setting": "user", "old": "", "new": "nobody"`, `{"setting": "journal", "old": "", "new": "/nowhere"`)
				if strings.Contains(logged, "max-job-size") {
					t.Errorf("got log %q, but the size is as before", logged)
				}
			}
			f.write("max-job-size = 2")
			reload(t, s, "no setting has changed")
			f.write()
			reload(t, s, `"old": 2, "new": 65535, "from": "default"`)
		})
	}
}

// TestReloadNoFile has nothing to be read, and must not end the server.
func TestReloadNoFile(t *testing.T) {
	t.Parallel()
	s := startServer(t, spokedPath(t))
	reload(t, s, "no setting has changed")
	connect(t, s).ask("list-tube-used\r\n", "USING default\r\n")
}

// TestReloadLog has the log say more, and less, and in the other format.
func TestReloadLog(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			f := newSettingsFile(t, "spoked.yaml")
			f.write("verbose: 0")
			s := startServer(t, spokedPath(t), append(strings.Fields(args), "--config", f.path)...)
			c := connect(t, s)
			c.ask("list-tubes-watched\r\n", "OK 14\r\n---\n- default\n\r\n")
			if got := s.Stderr(); strings.Contains(got, "list-tubes-watched") {
				t.Errorf("got log %q, want no commands", got)
			}
			f.write("verbose: 2", "log-format: json")
			reload(t, s, `"setting":"log-format","old":"console","new":"json"`)
			c.ask("list-tubes-watched\r\n", "OK 14\r\n---\n- default\n\r\n")
			awaitLog(t, s, `"command":"list-tubes-watched"`)
			f.write("verbose: 0")
			reload(t, s, `reloaded  {"setting": "log-format"`)
			begin := len(s.Stderr())
			c.ask("list-tube-used\r\n", "USING default\r\n")
			if got := s.Stderr()[begin:]; got != "" {
				t.Errorf("got log %q, want nothing", got)
			}
		})
	}
}

// TestReloadMemory has puts refused while the memory is too little.
func TestReloadMemory(t *testing.T) {
	t.Parallel()
	f := newSettingsFile(t, "spoked.toml")
	f.write()
	s := startServer(t, spokedPath(t), "--config", f.path)
	c := connect(t, s)
	c.put("1")
	f.write("memory = 1")
	reload(t, s, `"setting": "memory", "old": "auto", "new": 1`)
	c.ask("put 0 0 60 1\r\n2\r\n", "OUT_OF_MEMORY\r\n")
	f.write("memory = 0")
	reload(t, s, `"setting": "memory", "old": 1, "new": 0`)
	c.put("2")
}

// TestReloadJournal changes what can be of a journal, with bodies in memory that
// have to go to it alone, and finds all again.
func TestReloadJournal(t *testing.T) {
	t.Parallel()
	const n, size = 300, 10_000
	f := newSettingsFile(t, "spoked.toml")
	f.write("journal = '"+t.TempDir()+"'", "fsync-interval = 3600000")
	keep := []string{"journal = '" + mustJournal(t, f.path) + "'"}
	s := startServer(t, spokedPath(t), "--config", f.path)
	c := connect(t, s)
	for i := range n {
		c.put(fmt.Sprintf("%d%*d", i, size-len(strconv.Itoa(i)), i))
	}
	f.write(append(keep, "fsync-interval = 20", "memory = '1MB'")...)
	reload(t, s, `reloaded  {"setting": "fsync-interval", "old": 3600000, "new": 20`, `reloaded  {"setting": "memory"`)
	f.write(append(keep, "fsync-interval = 20", "memory = '1MB'", "bodies = 'disk'")...)
	reload(t, s, `reloaded  {"setting": "bodies", "old": "auto", "new": "disk"`)
	f.write(append(keep, "fsync-interval = 0", "no-fsync = true", "memory = '1MB'", "bodies = 'memory'")...)
	reload(t, s, `restart  {"setting": "fsync-interval"`, `restart  {"setting": "no-fsync"`, `restart  {"setting": "bodies"`)
	for i := range n {
		body := fmt.Sprintf("%d%*d", i, size-len(strconv.Itoa(i)), i)
		c.ask("reserve\r\n", fmt.Sprintf("RESERVED %d %d\r\n%s\r\n", i+1, size, body))
		c.ask(fmt.Sprintf("delete %d\r\n", i+1), "DELETED\r\n")
	}
}

// mustJournal returns the directory that a file of settings names.
func mustJournal(t *testing.T, path string) string {
	t.Helper()
	inv, err := config.Parse([]string{"--config", path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return inv.Config.Journal
}

// TestReloadNotifies is a service manager that wants to know.
func TestReloadNotifies(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketDir(t), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	next := func() string {
		t.Helper()
		if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		n, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	launching.Lock()
	cmd := exec.Command(spokedPath(t), "-l", "127.0.0.1", "-p", strconv.Itoa(freePort(t)))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	s := start(t, cmd)
	launching.Unlock()
	if got, want := next(), "READY=1"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	s.signal(t, syscall.SIGHUP)
	if got, want := next(), "RELOADING=1\nMONOTONIC_USEC="; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q and a number", got, want)
	}
	if got, want := next(), "READY=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestConfigFile starts with a file that is in order, and with one that is not.
func TestConfigFile(t *testing.T) {
	t.Parallel()
	f := newSettingsFile(t, "spoked.yml")
	f.write("listen: 127.0.0.1", "port: 0", "max-job-size: 7")
	s := spawn(t, "--config", f.path)
	awaitLog(t, s, "listening")

	f.write("listen: 127.0.0.1", "prot: 0")
	s = spawn(t, "--config", f.path)
	s.wantExit(t, config.ExitUsage)
	if got, want := s.Stderr(), spokedPath(t)+": "+f.path+":2: unknown key: prot (did you mean port?)\n"; got != want {
		t.Errorf("got %q on stderr, want %q", got, want)
	}
}
