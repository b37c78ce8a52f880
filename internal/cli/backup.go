package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"spoked/internal/control"
	"spoked/internal/journal"
)

const backupUse = `Use: %s backup [-b DIR] DEST

Copies the journal in DIR to the directory DEST, which must not exist, or be
empty. A server that uses the journal is asked to do it, and goes on meanwhile:
it needs to be able to write beside DEST, where the copy is called DEST.partial
until it is complete. The copy is the journal as it was at one moment. To
restore it, start a server with it: %s -b DEST

 -b, --journal DIR  the directory that the server was given
                    SPOKED_JOURNAL
 -h, --help         print this help and exit

Exit codes:
 0           done
 1           the copy could not be made
 5           the command line makes no sense
 10          DIR has no journal, or a server is using it and does not answer
`

// backup runs the tool for backups.
func (p *Program) backup(name string, args []string) error {
	w, err := parseWords(args, nil, map[string]string{"-b": "--journal", "--journal": "--journal"})
	if err != nil {
		return err
	}
	dir := w.values["--journal"]
	for _, entry := range p.Env {
		if value, ok := strings.CutPrefix(entry, "SPOKED_JOURNAL="); ok && dir == "" {
			dir = value
		}
	}
	switch {
	case dir == "":
		return misuse("backup: -b is missing, and SPOKED_JOURNAL is not set")
	case len(w.args) == 0:
		return misuse("backup: an argument is missing: it takes DEST")
	case len(w.args) > 1:
		return misuse("backup: unknown argument: %s", w.args[1])
	}
	dest, err := filepath.Abs(w.args[0])
	if err != nil {
		return err
	}
	copied, err := copyJournal(dir, dest)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "copied %d segments, %d bytes, to %s; to restore it: %s -b %s\n",
		copied.Segments, copied.Bytes, dest, name, dest)
	return err
}

// copyJournal has the server that uses dir copy the journal; if none does, it
// does so itself.
func copyJournal(dir, dest string) (copied journal.Copied, err error) {
	req := control.Request{Op: "backup", To: dest}
	unanswered := control.Call(filepath.Join(dir, control.Name), req, &copied)
	if !errors.Is(unanswered, control.ErrNoServer) {
		return copied, unanswered
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	copied, err = journal.BackupStopped(ctx, dir, dest)
	if errors.Is(err, journal.ErrInUse) {
		err = fmt.Errorf("%w, and cannot be asked for a copy: %w", err, unanswered)
	}
	return copied, err
}
