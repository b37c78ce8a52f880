package daemon

import (
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"spoked/internal/config"
)

// newLogger returns a logger that writes a line for each event worth an
// operator's time, and with cfg.Verbosity for each connection and command.
func newLogger(cfg config.Config, w io.Writer) *zap.Logger {
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.LogFormat == config.LogConsole {
		enc.ConsoleSeparator = "  "
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	level := zapcore.InfoLevel
	if cfg.Verbosity > 0 {
		level = zapcore.DebugLevel
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level))
}
