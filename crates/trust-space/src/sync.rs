//! One round of fetching, for a command: it works on the folder whether or not a server runs, and the server notices what was kept.

use crate::adoption::WhiteListNews;
use crate::http::HttpClient;
use crate::lists::ListFetch;
use crate::settings::WhiteListSource;
use crate::space::TrustSpace;
use crate::white_list::WhiteListFault;

impl TrustSpace {
    /// Fetches every revocation list now. Points that a fetched list's authorities name are followed once.
    pub async fn sync_lists(&self, http: &HttpClient) -> Vec<ListFetch> {
        self.find_sources();
        let due = self.state().sources.take_due(self.now(), true);
        self.fetch_each(http, due).await
    }

    /// Reads or fetches the white list now. With `is_confirmed`, its loss of domains is no obstacle.
    ///
    /// # Errors
    /// Why it is not in force. The one in force stays.
    pub async fn sync_white_list(
        &self,
        http: &HttpClient,
        is_confirmed: bool,
    ) -> Result<WhiteListNews, WhiteListFault> {
        let Some(configured) = self.settings().white_list.clone() else {
            return Err(WhiteListFault::NoSource);
        };
        match configured.source {
            WhiteListSource::File(_) => self.offer_file(&configured, is_confirmed).await,
            WhiteListSource::Url(_) => self.fetch_white_list_once(http, is_confirmed).await,
        }
    }
}
