"""Common words and character pairs by which `language_check` recognises text of a language."""

# Function words of languages in Latin letters. A dozen words of prose contain some.
_COMMON = (
    "the of and to in is that for it with as was on be by this are at from or an not have you "
    "la de el en que los las del un una por con para es se no al lo como más su der die und das "
    "den von zu mit sich des auf für ist im dem nicht ein eine auch als le les et du une dans "
    "est pour qui par sur pas plus au avec sont di il che della per non si da sono alla nel dos "
    "do um uma não com os mais een het van dat niet zijn op te voor ook och att det som på är "
    "av inte till med ett ikke og til af er jeg har kan ved ja että ei oli hän mutta tai kun "
    "ovat joka w na się nie jest że jak po co za od o jako je že ako sa pre alebo a az egy és "
    "hogy nem ez meg și în cu pe care nu ve bir bu için ile çok olarak yang dan untuk dengan "
    "tidak ini itu dari akan pada của và là có trong một các cho không được với này người tôi "
    "cũng để ang mga ng ay kapag nga ở will can if when should may must which your all has but "
    "they we use used any one other only more some these into than then them its about up out "
    "so "
)
# The most common pairs of letters, counted in the Debian installation guide in fourteen languages
# with Latin letters: they are 76 to 89 % of the pairs in these texts, and at most 44 % in ciphers
# of them.
_PAIRS = (
    "er de en in st te an ar re ti es ta al on at le or ra nt me is la se ns ng et di el ma ll "
    "ne io he it si li em co ri nd th ch pa ro un da as om to pr ve po tr il ge ie fi ic ia na "
    "pe rt ca os ur bi ed do ad ue ou ec qu am ce eb ut ac so be nu us ha ci lo ni ot no ka ss "
    "op hi fo ig sa ir mo va rd su ke oo ul vi od tu rm sc vo sp id ol iv au ai mp ei gu du ap "
    "im ys mi bo sy tt ee rs ct ru nf og wa gr ho ui sk um nc "
)
# Common pairs in Korean (19 to 38 % of the pairs in its texts) and in the hiragana of Japanese (68
# to 79 %). In ciphers of the same characters their share is at most 1 % and 14 %.
_PAIRS_KO = (
    "니다 설치 습니 에서 사용 있습 합니 하는 시스 스템 으로 프로 설정 로그 하기 용하 그램 "
    "경우 시오 디스 십시 있는 입니 하지 선택 들어 파일 장치 필요 하고 서는 라이 하십 하면 "
    "지원 자동 방법 수도 지를 지만 이미 다음 가지 기본 다른 부분 요한 정보 됩니 여러 기능 "
    "려면 하려 동으 문제 그래 다면 원하 정하 동작 데이 해야 이용 해서 으면 어를 용자 는지 "
    "따라 시작 만들 참고 어가 확인 설명 같은 거나 어떤 예를 여기 때문 그러 페이 추가 되어 "
    "해당 문서 어에 에는 금액 번호 합계 주소 전화 일자 수량 단가 이름 성명 회사 서울 계약 "
    "신청 사업 은행 카드 영수 결제 상품 고객 담당 부서 제출 대표 등록 주민 생년 월일 거래 "
    "공급 품목 비고 총액 세요 까지 부터 하여 위해 대한 없는 없습 었습 였습 았다 었다 이다 "
    "한다 된다 한국 오후 오전 "
)
_PAIRS_JA = (
    "ます する して てい され しま でき こと りま です さい した よう から あり いま ない "
    "では には があ ある って ませ せん くだ ださ いる この その れて てく ため うに れる "
    "これ ると のよ によ るか いて れた きる とし とい った とが にな なる なり それ もし "
    "られ しな いう うな らの もの ょう しょ どの とも ので なく でし めに のた また えば "
    "れば つい すで でも かも しれ ての える けれ につ たり のに きな なた いく であ なけ "
    "べき あな ほと とん んど まし だけ ても のみ だった さん "
)
COMMON, PAIRS = frozenset(_COMMON.split()), frozenset(_PAIRS.split())
PAIRS_KO, PAIRS_JA = frozenset(_PAIRS_KO.split()), frozenset(_PAIRS_JA.split())
