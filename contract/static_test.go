package contract_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// get asks for a path without a websocket. Redirections are not followed.
func (s *server) get(t *testing.T, path string) (status int, header http.Header, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+path, nil)
	check(t, err)
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (status int, header http.Header, body string) {
	t.Helper()
	request.Close = true
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	response, err := client.Do(request)
	check(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	return response.StatusCode, response.Header, string(text)
}

// Without PGWS_ROOT_PATH there is a small status page, and nothing else.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	status, header, body := s.get(t, "/")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(body, "pgws") {
		t.Errorf("/ is answered %d %v %q", status, header, body)
	}
	for _, path := range []string{"/index.html", "/favicon.ico", "/chat", "/chat/" + token(anybody), "/" + token(anybody),
		"/live", "/ready", "/metrics", "/.pgws/token", "/etc/passwd"} {
		if status, _, body := s.get(t, path); status != http.StatusNotFound {
			t.Errorf("%s is answered %d %q", path, status, body)
		}
	}
}

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	for path, content := range map[string]string{
		"index.html": "<h1>Welcome</h1>", "main.js": "let x", "style.css": "b {}", "two words.txt": "two words",
		"sub/index.html": "<h1>Below</h1>", "sub/page.html": "a page", "empty/deep/file.txt": "deep", "../outside.txt": "outside",
	} {
		path = filepath.Join(root, path)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(content), 0o600))
	}
	s := start(t, env{"PGWS_ROOT_PATH": root})
	for path, want := range map[string]struct {
		status     int
		kind, body string
	}{
		"/":                      {200, "text/html", "<h1>Welcome</h1>"},
		"/main.js":               {200, "text/javascript", "let x"},
		"/style.css":             {200, "text/css", "b {}"},
		"/style.css?v=1":         {200, "text/css", "b {}"},
		"/two%20words.txt":       {200, "text/plain", "two words"},
		"/sub/":                  {200, "text/html", "<h1>Below</h1>"},
		"/sub/page.html":         {200, "text/html", "a page"},
		"/empty/deep/file.txt":   {200, "text/plain", "deep"},
		"/empty/":                {404, "", ""},
		"/empty/deep/":           {404, "", ""},
		"/missing":               {404, "", ""},
		"/../outside.txt":        {404, "", ""},
		"/sub/../../outside.txt": {404, "", ""},
		"/%2e%2e/outside.txt":    {404, "", ""},
		"/..%2foutside.txt":      {404, "", ""},
		"/sub%2fpage.html%00":    {404, "", ""},
	} {
		status, header, body := s.get(t, path)
		if status == http.StatusBadRequest {
			status = http.StatusNotFound // It is as good for a path that climbs.
		}
		if status != want.status || !strings.HasPrefix(header.Get("Content-Type"), want.kind) || want.body != "" && body != want.body {
			t.Errorf("%s is answered %d %q %q, want %+v", path, status, header.Get("Content-Type"), body, want)
		}
		if strings.Contains(body, "outside") || strings.Contains(body, "deep/") {
			t.Errorf("%s shows %q", path, body)
		}
	}
	t.Log("Websockets are there beside the files, also by the names of files.")
	c := s.dial(t, "/main.js/"+token(anybody))
	c.send("hello")
	if got := c.receiveMessage().Channel; got != "main.js" {
		t.Errorf("the channel is %q", got)
	}
}
