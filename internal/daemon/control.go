package daemon

import (
	"context"
	"path/filepath"

	"go.uber.org/zap"

	"spoked/internal/control"
	"spoked/internal/journal"
)

// startControl has the server take requests about its journal, until the
// function that it returns is called. Without a socket it serves nevertheless.
func startControl(dir string, j *journal.Journal, log *zap.Logger) (stop func()) {
	backup := func(ctx context.Context, req control.Request) (any, error) {
		copied, err := j.Backup(ctx, req.To)
		if err != nil {
			log.Warn("backup failed", zap.String("to", req.To), zap.Error(err))
			return nil, err
		}
		log.Info("backed up", zap.String("to", req.To), zap.Int("segments", copied.Segments), zap.Int64("bytes", copied.Bytes))
		return copied, nil
	}
	s, err := control.Listen(filepath.Join(dir, control.Name), map[string]control.Op{"backup": backup})
	if err != nil {
		log.Warn("no control socket: `spoked backup` cannot copy the journal while this server runs", zap.Error(err))
		return func() {}
	}
	return s.Close
}
