package daemon

import (
	"io"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"spoked/internal/config"
)

// logbook is where log lines go. How they look and how many there are can be changed
// while others log.
type logbook struct {
	out    zapcore.WriteSyncer
	level  zap.AtomicLevel
	layout atomic.Pointer[zapcore.Core]
}

// newLogger returns a logger that writes a line for each event worth an
// operator's time, and with cfg.Verbosity for each connection and command.
func newLogger(cfg config.Config, w io.Writer) (*zap.Logger, *logbook) {
	b := &logbook{out: zapcore.Lock(zapcore.AddSync(w)), level: zap.NewAtomicLevel()}
	b.setVerbosity(cfg.Verbosity)
	b.setFormat(cfg.LogFormat)
	return zap.New(page{book: b}), b
}

func (b *logbook) setVerbosity(n int) {
	level := zapcore.InfoLevel
	if n > 0 {
		level = zapcore.DebugLevel
	}
	b.level.SetLevel(level)
}

func (b *logbook) setFormat(format config.LogFormat) {
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if format == config.LogConsole {
		enc.ConsoleSeparator = "  "
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	core := zapcore.NewCore(encoder, b.out, zapcore.DebugLevel)
	b.layout.Store(&core)
}

// page writes into a logbook, as it is laid out at the time. It is a zapcore.Core.
type page struct {
	book *logbook
	with []zapcore.Field // of all lines
}

func (p page) Enabled(l zapcore.Level) bool { return p.book.level.Enabled(l) }

func (p page) With(fields []zapcore.Field) zapcore.Core {
	p.with = append(slices.Clip(p.with), fields...)
	return p
}

func (p page) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(e.Level) {
		return checked.AddCore(e, p)
	}
	return checked
}

func (p page) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if len(p.with) > 0 {
		fields = append(slices.Clip(p.with), fields...)
	}
	return (*p.book.layout.Load()).Write(e, fields)
}

func (p page) Sync() error { return p.book.out.Sync() }
