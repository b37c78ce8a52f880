package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The cookies of the console.
const (
	tokenCookie  = "spoked_token"  // of the API, of whoever has signed in
	noticeCookie = "spoked_notice" // what has been done, until the next page says it
	themeCookie  = "spoked_theme"  // dark or light; a script sets it
)

// who returns what the caller may do. A token comes in the cookie that the form
// has set, or as in the API.
func (h *Handler) who(r *http.Request) (rights Rights, ok, tokens bool) {
	token := ""
	if c, err := r.Cookie(tokenCookie); err == nil {
		token, _ = url.QueryUnescape(c.Value)
	}
	if scheme, t, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(t)
	}
	rights, ok, tokens = h.opts.Who(token)
	if !tokens {
		return Rights{Put: true, Change: true}, true, false
	}
	return rights, ok, true
}

// sendToLogin has whoever asks sign in, and come back.
func (h *Handler) sendToLogin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("HX-Request") == "true" || r.Method != http.MethodGet {
		w.Header().Set("HX-Redirect", "/login")
		http.Error(w, "This needs a token: sign in.", http.StatusUnauthorized)
		return
	}
	to := "/login"
	if r.URL.Path != "/" || r.URL.RawQuery != "" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// loginForm is what the page of the form shows.
type loginForm struct {
	Next  string
	Wrong bool
}

func (h *Handler) loginPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	next := backTo(q.Get("next"), "/")
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && q.Get("again") == "" {
		// Who follows a link from elsewhere, such as a colleague's message, comes
		// without the cookie, signed in or not. From here on it is no such link.
		w.Header().Set("Refresh", "0; url="+query("/login", "next", next, "again", "1"))
		_ = (&call{h: h, w: w, r: r}).page(http.StatusOK, "again", nil)
		return
	}
	if _, ok, _ := h.who(r); ok {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	c := &call{h: h, w: w, r: r}
	_ = c.page(http.StatusOK, "login", loginForm{Next: next})
}

func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	token := strings.TrimSpace(r.PostFormValue("token"))
	next := backTo(r.PostFormValue("next"), "/")
	if _, ok, tokens := h.opts.Who(token); tokens && !ok {
		c := &call{h: h, w: w, r: r}
		_ = c.page(http.StatusUnauthorized, "login", loginForm{Next: next, Wrong: true})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: tokenCookie, Value: url.QueryEscape(token), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil, MaxAge: int((30 * 24 * time.Hour).Seconds()),
	})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: tokenCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// note leaves a notice for the next page.
func note(w http.ResponseWriter, text string) {
	const longest = 1000
	http.SetCookie(w, &http.Cookie{
		Name: noticeCookie, Value: url.QueryEscape(text[:min(len(text), longest)]), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: 60,
	})
}

// takeNotice returns the notice that was left, and removes it.
func takeNotice(w http.ResponseWriter, r *http.Request) string {
	c, err := r.Cookie(noticeCookie)
	if err != nil {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1})
	text, _ := url.QueryUnescape(c.Value)
	return text
}
