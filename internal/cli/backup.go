package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"spoked/internal/control"
	"spoked/internal/journal"
)

const backupLong = `Copies the journal in DIR to the directory DEST, which must not exist, or be
empty. A server that uses the journal is asked to do it, and goes on meanwhile:
it needs to be able to write beside DEST, where the copy is called DEST.partial
until it is complete. The copy is the journal as it was at one moment. To
restore it, start a server with it: spoked -b DEST

Without -b and SPOKED_JOURNAL, but with --server or SPOKED_SERVER, the server there is
asked by its HTTP API. DEST is then a directory on its machine, an absolute path.`

const backupExits = ` 0           done
 1           the copy could not be made
 3           no server answers
 4           the server refuses: it wants a token, or another one
 5           the command line makes no sense
 10          DIR has no journal, or a server is using it and does not answer
`

// backupCommand returns the tool for backups.
func (p *Program) backupCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:         "backup [-b DIR] DEST",
		Short:       "copy the journal, while the server runs or not",
		Long:        backupLong,
		Example:     "  spoked backup -b /var/lib/spoked /backup/monday",
		Args:        takes("DEST"),
		Annotations: map[string]string{"exit": backupExits},
	}
	c.Flags().StringVarP(&dir, "journal", "b", p.variable("SPOKED_JOURNAL"), "the directory `DIR` that the server was given; SPOKED_JOURNAL")
	r := p.remoteFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if dir == "" && (c.Flags().Changed("server") || p.variable("SPOKED_SERVER") != "") {
			return p.backupRemote(c, r, args[0])
		}
		if dir == "" {
			return misuse("-b is missing, and SPOKED_JOURNAL is not set")
		}
		dest, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		copied, err := copyJournal(c.Context(), dir, dest)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.Stdout, "copied %d segments, %d bytes, to %s; to restore it: %s -b %s\n",
			copied.Segments, copied.Bytes, dest, c.Root().Name(), dest)
		return err
	}
	return c
}

// backupRemote has a server copy its journal to a directory on its machine.
func (p *Program) backupRemote(c *cobra.Command, r *remote, dest string) error {
	if !path.IsAbs(dest) && !filepath.IsAbs(dest) {
		return misuse("%s: it must be an absolute path, as it is one on the server's machine", dest)
	}
	to, err := r.api(c.Context())
	if err != nil {
		return err
	}
	copied, err := to.patient.Backup(c.Context(), dest)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "copied %d segments, %d bytes, to %s on the server's machine; to restore it: %s -b %s\n",
		copied.Segments, copied.Bytes, dest, c.Root().Name(), dest)
	return err
}

// copyJournal has the server that uses dir copy the journal; if none does, it
// does so itself.
func copyJournal(ctx context.Context, dir, dest string) (copied journal.Copied, err error) {
	req := control.Request{Op: "backup", To: dest}
	unanswered := control.Call(filepath.Join(dir, control.Name), req, &copied)
	if !errors.Is(unanswered, control.ErrNoServer) {
		return copied, unanswered
	}
	copied, err = journal.BackupStopped(ctx, dir, dest)
	if errors.Is(err, journal.ErrInUse) {
		err = fmt.Errorf("%w, and cannot be asked for a copy: %w", err, unanswered)
	}
	return copied, err
}
