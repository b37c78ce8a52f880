package daemon

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"spoked/internal/config"
	"spoked/internal/journal"
)

// openJournal opens the journal that cfg asks for, and restores what is in it. It
// tells told how many bytes it has read, of how many.
func openJournal(cfg config.Config, told func(done, total int64), log *zap.Logger, stderr io.Writer) (*journal.Journal, error) {
	if cfg.FsyncInterval == 0 && !cfg.NoFsync {
		// The thread that syncs is in a system call nearly all the time. While
		// there is no idle P, the Go scheduler takes its P away each time, and
		// looks every 20 us whether it should. Two more are idle enough.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	p := progress{log: log, begin: time.Now()}
	if f, ok := stderr.(*os.File); ok && isTerminal(f) {
		p.terminal = f
	}
	j, err := journal.Open(journal.Options{
		Dir:         cfg.Journal,
		SegmentSize: cfg.JournalSegmentSize,
		Interval:    cfg.FsyncInterval,
		Never:       cfg.NoFsync,
		Log:         log,
		Progress: func(done, total int64) {
			told(done, total)
			p.show(done, total)
		},
		Limits: limits(cfg),
	}, time.Now().UnixNano())
	p.clear()
	return j, err
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress tells how far a restart is when it takes longer than a second: a
// bar on a terminal, and else a line of the log every second.
type progress struct {
	log         *zap.Logger
	terminal    *os.File // or nil
	begin, told time.Time
	shown       bool
}

const (
	patience = time.Second
	redraw   = 100 * time.Millisecond
	barWidth = 40

	extension = 30 * time.Second // is asked of systemd each time
)

func (p *progress) show(done, total int64) {
	now := time.Now()
	interval := patience
	if p.terminal != nil {
		interval = redraw
	}
	if now.Sub(p.begin) < patience || now.Sub(p.told) < interval || total == 0 {
		return
	}
	p.told = now
	// systemd gives up on a service that does not get ready in time.
	_, _ = sdnotify.SdNotify(false, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extension.Microseconds()))
	if p.terminal == nil {
		p.log.Info("reading the journal", zap.Int64("percent", 100*done/total), zap.Int64("bytes", total))
		return
	}
	p.shown = true
	full := int(barWidth * done / total)
	fmt.Fprintf(p.terminal, "\rreading the journal [%s%s] %3d %%",
		strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*done/total)
}

// clear removes the bar.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprintf(p.terminal, "\r%*s\r", barWidth+30, "")
	}
}
